// Cookies, alternative services and our own headers from an upstream would take effect at our host.
import assert from "node:assert/strict";
import { test } from "node:test";
import { OK, openTarget, parseAnswer } from "../support/attack.ts";
import { openWireClient } from "../support/wire.ts";

const KEPT = [
  "X-Request-Id: r1",
  "content-TYPE: text/plain; charset=latin1",
  "Date: Sun, 22 Nov 2026 00:00:00 GMT",
  "X-Latin: caf\u00e9 \u00ff",
  "X-Twice: a",
  "x-twice: b",
  "WWW-Authenticate: Bearer realm=upstream",
  "Location: https://evil.test/",
  "Via: 1.1 edge",
  "Retry-After: 1",
  "Server: upstream",
];
const DROPPED = [
  "Set-Cookie: a=1; Domain=proxy.test",
  "sEt-CoOkIe2: a=1",
  "Set_Cookie: a=1",
  'Alt-Svc: h3="evil.test:443"',
  "X3sproxy-Refusal: unknown_token",
  "x3SPROXY-anything: 1",
  "Keep-Alive: timeout=5",
  "Proxy-Authenticate: Basic",
  "Proxy-Connection: close",
  "TE: trailers",
  "Upgrade: h2c",
  "X-Named: 1",
];

test("an answer keeps all that is its own, and nothing that would act in our name", async (t) => {
  const { ask, token } = await openTarget(t, {
    answer:
      [
        "HTTP/1.1 401 Not Yours",
        ...DROPPED,
        ...KEPT,
        "Connection: close, x-named, x3sproxy-y",
        "",
      ].join("\r\n") + "Content-Length: 4\r\n\r\nbody",
  });
  const { status, text, body } = await ask([
    "GET /openai/v1/models HTTP/1.1",
    `Authorization: Bearer ${token}`,
  ]);
  assert.equal(status, 401);
  assert.equal(body, "body");
  const [line, ...fields] = text.slice(0, text.indexOf("\r\n\r\n")).split("\r\n");
  assert.equal(line, "HTTP/1.1 401 Not Yours");
  assert.deepEqual(fields, [...KEPT, "Content-Length: 4", "Connection: close"]);
});

test("trailers are held to the same", async (t) => {
  const { ask, token } = await openTarget(t, {
    answer:
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\n" +
      "Set-Cookie: a=1\r\nX3sproxy-Refusal: x\r\nAlt-Svc: clear\r\nX-Sum: 1\r\n\r\n",
  });
  const { text } = await ask([
    "GET /openai/v1/models HTTP/1.1",
    `Authorization: Bearer ${token}`,
    "TE: trailers",
  ]);
  assert.equal(/set-cookie|x3sproxy|alt-svc/i.test(text), false, text);
  assert.ok(text.endsWith("0\r\nX-Sum: 1\r\n\r\n"), text);
});

test("interim answers are held to the same", async (t) => {
  const hints = DROPPED.filter((field) => !/close$/.test(field)).join("\r\n");
  const { ask, token } = await openTarget(t, {
    answer: `HTTP/1.1 103 Early Hints\r\n${hints}\r\nConnection: x-named\r\nLink: </a>\r\n\r\n${OK}`,
  });
  const { text } = await ask(["GET /openai/v1/models HTTP/1.1", `Authorization: Bearer ${token}`]);
  const [interim, final = ""] = text.split("\r\n\r\n");
  assert.equal(interim, "HTTP/1.1 103 Early Hints\r\nLink: </openai/a>");
  assert.match(final, /^HTTP\/1\.1 200 OK\r\n/);
});

test("a WebSocket handshake is held to the same", async (t) => {
  const { plane, token } = await openTarget(t, {
    answer:
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade, x-named\r\n" +
      `Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n${DROPPED.join("\r\n")}\r\nX-Request-Id: r1\r\n\r\n`,
  });
  const client = await openWireClient(plane.port);
  client.send(
    [
      "GET /openai/v1/realtime HTTP/1.1",
      "Host: proxy",
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      `Authorization: Bearer ${token}`,
      "",
      "",
    ].join("\r\n"),
  );
  const { status, headers } = parseAnswer(await client.until((text) => text.includes("\r\n\r\n")));
  client.socket.destroy();
  assert.equal(status, 101);
  assert.deepEqual(headers.map(([name]) => name).sort(), [
    "connection",
    "sec-websocket-accept",
    "upgrade",
    "x-request-id",
  ]);
});
