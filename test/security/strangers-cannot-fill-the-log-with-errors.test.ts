// Whoever has no credential can break off, garble and repeat requests at will. Lines at warn and error are for whoever is on call: no
// stranger writes one, on any listener.
import assert from "node:assert/strict";
import { connect } from "node:net";
import test from "node:test";
import { createHealth } from "../../src/health.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { openAdmin } from "../admin/fixture.ts";
import { openDataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";

/** What comes after a head that promises a body, and how the connection then ends. */
const BODIES: readonly (readonly [string, string])[] = [
  ["content-length: 50", ""],
  ["content-length: 50", '{"email":"a'],
  ["content-length: 11", '{"email":"a'],
  ["content-length: 2", "{}"],
  ["transfer-encoding: chunked", "5\r\n{}"],
  ["transfer-encoding: chunked", "zz\r\n"],
  ["transfer-encoding: chunked", "2\r\n{}\r\n"],
  ["content-encoding: gzip\r\ncontent-length: 50", "\x1f\x8b"],
  ["expect: 100-continue\r\ncontent-length: 50", ""],
];
const ENDS = ["reset", "closed", "half closed"] as const;
const JSON_TYPE = "content-type: application/json";

async function send(port: number, text: string, end: (typeof ENDS)[number]): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => undefined);
  socket.resume();
  socket.once("connect", () => socket.write(text, "latin1"));
  // The server is in this process: these turns of its loop are enough for it to accept and to read.
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  if (end === "half closed") socket.end();
  else if (end === "closed") socket.destroy();
  else socket.resetAndDestroy();
  await closed;
}

/** Each start with each body and each end; how many were sent. */
async function sendAll(port: number, host: string, starts: readonly string[]): Promise<number> {
  const sent: Promise<void>[] = [];
  for (const start of starts) {
    for (const [framing, body] of BODIES) {
      for (const end of ENDS) {
        const head = `${start} HTTP/1.1\r\nhost: ${host}\r\n${JSON_TYPE}\r\n${framing}\r\n\r\n`;
        sent.push(send(port, head + body, end));
        if (sent.length % 30 === 0) await Promise.all(sent);
      }
    }
  }
  await Promise.all(sent);
  return sent.length;
}

const isLoud = ({ level }: Record<string, unknown>): boolean => Number(level) >= 40;

test("the admin side", async (t) => {
  const { port, routes, log } = await openAdmin(t);
  const open = routes.filter(
    ({ method, permission }) =>
      method !== "GET" && (permission === "public" || permission === "link"),
  );
  assert.ok(open.length >= 4);
  const starts = [
    ...open.map(({ method, path }) => `${method} /api/v1${path}`),
    ...["POST /api/v1/agents/coder/deployments", "PUT /", "GET /", "GET /api/v1/openapi.json"],
  ];
  const sent = await sendAll(port, `127.0.0.1:${port}`, starts);
  const lines = () => log.map((line) => JSON.parse(line) as Record<string, unknown>);
  // Those whose framing is refused by the parser have no line at all.
  const ofRequests = ["admin request", "a client broke off its request"];
  await eventually(
    () => lines().filter(({ msg }) => ofRequests.includes(String(msg))).length >= sent / 2,
  );
  await fetch(`http://127.0.0.1:${port}/api/v1/nothing`);
  await eventually(() =>
    lines().some(({ route, status }) => route === "unknown" || status === 404),
  );
  assert.deepEqual(lines().filter(isLoud), []);
});

test("the data plane", async (t) => {
  const plane = await openDataPlane(t, { env: { X3SPROXY_PUBLIC_URL: "http://127.0.0.1" } });
  const token = `x3sproxy_${"A".repeat(32)}`;
  const starts = [
    ...["POST /openai/v1/responses", "POST /", "HEAD /openai", "POST /_x3sproxy/register"],
    `POST /_x3sproxy/register HTTP/1.1\r\nauthorization: Bearer x3sregister_${"A".repeat(32)}\r\nx:`,
    `POST /openai/v1/responses HTTP/1.1\r\nauthorization: Bearer ${token}\r\nx:`,
    `GET /openai/v1/realtime HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\nx:`,
    "POST http://api.openai.com/v1/responses",
    "CONNECT api.openai.com:443",
  ];
  const sent = await sendAll(plane.port, `127.0.0.1:${plane.port}`, starts);
  await eventually(() => plane.logged().filter(({ msg }) => msg === "exchange").length >= sent / 2);
  assert.deepEqual(plane.logged().filter(isLoud), []);
});

test("metrics and health", async (t) => {
  const lines: string[] = [];
  const log = createLog({
    level: "debug",
    destination: { write: (line) => void lines.push(line) },
  });
  const health = createHealth({ metrics: createMetrics(), log });
  const { port } = await health.listen({ host: "127.0.0.1", port: 0 });
  t.after(() => health.close());
  await sendAll(port, "127.0.0.1", [
    "GET /metrics",
    "GET /readyz",
    "POST /metrics",
    "GET /nothing",
  ]);
  assert.equal((await fetch(`http://127.0.0.1:${port}/metrics`)).status, 200);
  assert.deepEqual(lines, []);
});
