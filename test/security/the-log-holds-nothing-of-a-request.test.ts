// A log is copied, shipped and searched by many. Only fields of a list get in, and of a request only method and path.
import assert from "node:assert/strict";
import { test } from "node:test";
import { newBearer, PROXY_TOKEN_PREFIX } from "../../src/platform/ids.ts";
import { askRaw, FOREIGN_KEY, openTarget } from "../support/attack.ts";
import { FAKE_KEY } from "../support/data-plane.ts";

const CANARY = "canary9c1d";
const ALLOWED = new Set([
  ...[
    "level",
    "time",
    "msg",
    "exchangeId",
    "workspaceId",
    "agentId",
    "agent",
    "address",
    "deployment",
    "provider",
  ],
  ...["secretId", "secretVersion", "method", "path", "status", "outcome", "reason", "requestBytes"],
  ...[
    "responseBytes",
    "firstByteMs",
    "totalMs",
    "websocket",
    "address",
    "errorName",
    "errorCode",
    "count",
    "durationMs",
  ],
]);
const OUTCOMES = new Set(["completed", "refused", "client_left", "upstream_broke"]);

test("no token, key, query, header or body is in any line, warning or output", async (t) => {
  const { plane, token, upstream } = await openTarget(t, { providers: ["openai", "gemini"] });
  const written: string[] = [];
  for (const stream of [process.stdout, process.stderr]) {
    t.mock.method(stream, "write", (text: unknown) => {
      written.push(String(text));
      return true;
    });
  }
  const onWarning = (warning: Error): void => void written.push(warning.stack ?? "");
  process.on("warning", onWarning);
  t.after(() => process.off("warning", onWarning));

  const strange = newBearer(PROXY_TOKEN_PREFIX);
  const lines = (target: string, ...fields: string[]): string =>
    [
      `POST ${target} HTTP/1.1`,
      `Host: ${CANARY}.test`,
      `X-Canary: ${CANARY}`,
      `User-Agent: ${CANARY}`,
      "Connection: close",
      "Content-Length: 10",
      ...fields,
      "",
      CANARY,
    ].join("\r\n");
  const mine = `Authorization: Bearer ${token}`;
  const requests = [
    lines(`/openai/v1/responses?q=${CANARY}`, mine),
    lines(`/gemini/v1beta/models/x:generateContent?key=${token}&${CANARY}`),
    lines(`/openai/v1/responses?key=${FOREIGN_KEY}`),
    lines("/openai/v1/responses", `Authorization: Bearer ${FOREIGN_KEY}`),
    lines("/openai/v1/responses", `Authorization: Bearer ${strange}`),
    lines("/openai/v1/responses", `Authorization: Bearer ${token}${CANARY}`),
    lines(`/openai/v1/%2f${CANARY}`, mine),
    lines(`/openai/v1/${token}`, mine),
    lines(`/openai/v1/x#${CANARY}`, mine),
    lines("/anthropic/v1/messages", mine),
    lines(`/openai/v1/organization/users?${CANARY}`, mine),
    lines(`http://${CANARY}@x/openai/v1`, mine),
    lines("/openai/v1/responses", mine, `Expect: ${CANARY}`),
    lines("/openai/v1/responses", mine, `Transfer-Encoding: ${CANARY}`),
    lines("/openai/v1/responses", mine, `Bad Header: ${CANARY}`),
    `${CANARY} / HTTP/1.1\r\n\r\n`,
    `CONNECT ${CANARY}:443 HTTP/1.1\r\nHost: ${CANARY}\r\n\r\n`,
    `GET /openai/v1/realtime?key=${token} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: ${CANARY}\r\n\r\n`,
  ];
  for (const request of requests) await askRaw(plane.port, request);
  await upstream.close();
  await askRaw(plane.port, lines(`/openai/v1/responses?${CANARY}`, mine));
  await plane.drain();
  t.mock.restoreAll();

  const logged = plane.logged();
  const exchanges = logged.filter((line) => line["msg"] === "exchange");
  assert.equal(exchanges.length, requests.length + 1, "one line an exchange");
  assert.equal(new Set(exchanges.map((line) => line["exchangeId"])).size, exchanges.length);
  for (const line of logged) {
    assert.deepEqual(
      Object.keys(line).filter((field) => !ALLOWED.has(field)),
      [],
    );
  }
  for (const line of exchanges)
    assert.ok(OUTCOMES.has(String(line["outcome"])), JSON.stringify(line));
  assert.deepEqual([...new Set(exchanges.map((line) => line["path"]))].sort(), [
    "/v1/messages",
    "/v1/organization/users",
    "/v1/realtime",
    "/v1/responses",
    "/v1beta/models/x:generateContent",
    undefined,
  ]);
  const metrics = await plane.metrics.text();
  const secrets = [token, strange, FAKE_KEY, FOREIGN_KEY].flatMap((secret) => [
    secret.slice(9),
    Buffer.from(secret).toString("base64").slice(0, 20),
    Buffer.from(secret).toString("hex"),
    encodeURIComponent(secret),
  ]);
  for (const text of [JSON.stringify(logged), metrics, written.join("")]) {
    for (const secret of [CANARY, ...secrets]) assert.equal(text.includes(secret), false, secret);
  }
});
