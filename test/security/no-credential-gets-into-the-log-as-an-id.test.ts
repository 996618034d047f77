// Ids of requests are logged, and both sides can write what they like into them: an upstream may send back the key that it was
// called with, a client its token or a key of its own.
import assert from "node:assert/strict";
import { test } from "node:test";
import { newBearer, PROXY_TOKEN_PREFIX } from "../../src/platform/ids.ts";
import { FOREIGN_KEY } from "../support/attack.ts";
import { openWithUpstream } from "../support/data-plane.ts";
import {
  createWireUpstream,
  head,
  openWireClient,
  SWITCHING,
  webSocketHead,
} from "../support/wire.ts";

const HEADERS = ["x-request-id", "request-id", "x-amzn-requestid", "cf-ray", "apim-request-id"];
// Its shape is that of many an id.
const HEX_KEY = "fa4e0123456789abcdef0123456789ab";
const SHAPED_KEY = "sk-proj-FAKE-key-that-an-upstream-sends-back-0123";

for (const [title, key] of [
  ["a key of a known shape", SHAPED_KEY],
  ["a key that looks like an id", HEX_KEY],
] as const) {
  test(`an upstream that answers with ${title}`, async (t) => {
    let id = "";
    let name = "";
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", (data: Buffer) => {
        const isUpgrade = data.toString("latin1").includes("pgrade: websocket");
        socket.write(
          isUpgrade
            ? SWITCHING.replace("\r\n\r\n", `\r\n${name}: ${id}\r\n\r\n`)
            : `HTTP/1.1 200 OK\r\n${name}: ${id}\r\ncontent-length: 2\r\n\r\nok`,
        );
        if (isUpgrade) socket.end();
      });
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    await plane.save("openai", key);
    let calls = 0;
    const lineOf = async (sent: string) => {
      const client = await openWireClient(plane.port);
      client.send(sent.replace("/calls", `/calls${++calls}`));
      await (sent.includes("pgrade: websocket") ? client.ended() : client.answer());
      client.socket.destroy();
      const path = `/v1/calls${calls}`;
      return plane.exchange((line) => line["path"] === path);
    };
    for (const header of HEADERS) {
      name = header;
      for (const reflected of [
        key,
        key.slice(0, 12),
        key.slice(-8),
        `req_${key}`,
        `${key}-2`,
        key.slice(3, -3),
      ]) {
        id = reflected;
        const line = await lineOf(head(plane.token, "/openai/v1/calls"));
        assert.equal(line["upstreamRequestId"], undefined, `${header}: ${reflected}`);
      }
    }
    id = key;
    const ofWebSocket = await lineOf(webSocketHead(plane.token, "/openai/v1/calls"));
    assert.equal(ofWebSocket["upstreamRequestId"], undefined);
    id = "0af7651916cd43dd8448eb211c80319c";
    const harmless = await lineOf(head(plane.token, "/openai/v1/calls"));
    assert.equal(harmless["upstreamRequestId"], id, "and what is none is there");
    const text = JSON.stringify(plane.logged());
    for (const secret of [key, key.slice(0, 12), key.slice(-8)]) {
      assert.ok(!text.includes(secret));
    }
  });
}

test("what else may be a credential, or break a line, is no id for us", async (t) => {
  const token = newBearer(PROXY_TOKEN_PREFIX);
  const upstream = await createWireUpstream(({ socket, received }) => {
    socket.on("data", () => {
      const id = /\r\nx-canary: (.*)\r\n/.exec(
        received().slice(received().lastIndexOf("GET ")),
      )?.[1];
      socket.write(`HTTP/1.1 200 OK\r\nx-request-id: ${id ?? ""}\r\ncontent-length: 2\r\n\r\nok`);
    });
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const client = await openWireClient(plane.port);
  const ids = [
    "sk-ant-api03-FAKE-key-of-somebody-else-0123456789",
    FOREIGN_KEY,
    "AIzaFAKE0123456789012345678901234567890",
    "gsk_FAKE01234567890123456789012345678901",
    `key=${FOREIGN_KEY}`,
    `a/${FOREIGN_KEY}`,
    "FAKE0123456789FAKE0123456789FAKE0123456789",
    `x3skey_${token.slice(9)}`,
    `of-${token.slice(0, 20).toUpperCase()}`,
    "with a space",
    'quoted"',
    "\u00e9",
    "a".repeat(129),
    "",
  ];
  for (const [i, id] of ids.entries()) {
    const headers = [`x-canary: ${id}`, `x-request-id: ${id}`];
    client.send(Buffer.from(head(plane.token, `/openai/v1/n${i}`, { headers }), "latin1"));
    await client.answer();
    const line = await plane.exchange((one) => one["path"] === `/v1/n${i}`);
    assert.equal(line["upstreamRequestId"], undefined, id);
    assert.equal(line["clientRequestId"], undefined, id);
  }
  const text = JSON.stringify(plane.logged());
  for (const id of ids.slice(0, 9)) assert.ok(!text.includes(id), id);
});
