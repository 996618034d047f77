// A token left in a second slot, in the query or among the subprotocols would reach the provider, and its access log.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openTarget, type Target } from "../support/attack.ts";
import { FAKE_KEY } from "../support/data-plane.ts";
import { openWireClient } from "../support/wire.ts";

interface Slot {
  readonly query?: string;
  readonly fields?: readonly string[];
}

const basic = (text: string): string => Buffer.from(text).toString("base64");

const SLOTS: Record<string, (token: string) => Slot> = {
  bearer: (token) => ({ fields: [`Authorization: Bearer ${token}`] }),
  "bearer in odd case and spacing": (token) => ({
    fields: [`aUTHORIZATION: \t bEARER \t  ${token} \t`],
  }),
  "bearer behind a tab": (token) => ({ fields: [`authorization: BEARER\t${token}`] }),
  "Deepgram's scheme": (token) => ({ fields: [`Authorization: Token ${token}`] }),
  "fal's scheme": (token) => ({ fields: [`Authorization: Key ${token}`] }),
  "a custom provider's scheme": (token) => ({ fields: [`Authorization: Acme-Key ${token}`] }),
  bare: (token) => ({ fields: [`Authorization: ${token}`] }),
  "basic, as the password": (token) => ({
    fields: [`Authorization: Basic ${basic(`x:${token}`)}`],
  }),
  "basic, as the user": (token) => ({ fields: [`Authorization: basic ${basic(`${token}:`)}`] }),
  "basic, without a colon": (token) => ({ fields: [`Authorization: BASIC ${basic(token)}`] }),
  "x-api-key": (token) => ({ fields: [`X-Api-Key: ${token}`] }),
  "x-api-key with a scheme": (token) => ({ fields: [`x-api-key: Bearer ${token}`] }),
  "api-key": (token) => ({ fields: [`API-KEY: ${token}`] }),
  "x-goog-api-key": (token) => ({ fields: [`x-goog-api-key:${token}`] }),
  "xi-api-key": (token) => ({ fields: [`xi-api-key: ${token}`] }),
  "ocp-apim-subscription-key": (token) => ({ fields: [`Ocp-Apim-Subscription-Key: ${token}`] }),
  "a custom provider's header": (token) => ({ fields: [`X-Acme-Key: ${token}`] }),
  "a custom provider's header and scheme": (token) => ({ fields: [`X-Acme: Secret ${token}`] }),
  "?key=": (token) => ({ query: `key=${token}` }),
  "?KEY=": (token) => ({ query: `KEY=${token}` }),
  "?%6bey=": (token) => ({ query: `%6bey=${token}` }),
  "?$key=": (token) => ({ query: `$key=${token}` }),
  "?api_key=": (token) => ({ query: `api_key=${token}` }),
  "?api-key=": (token) => ({ query: `api-key=${token}` }),
  "?access_token=": (token) => ({ query: `access_token=${token}` }),
  "?xi-api-key=": (token) => ({ query: `xi-api-key=${token}` }),
  "?token=": (token) => ({ query: `token=${token}` }),
  "an unknown parameter": (token) => ({ query: `whatever=${token}` }),
  "a parameter without a value": (token) => ({ query: token }),
  "an escaped value": (token) => ({
    query: `key=${token.replace("_", "%5F").replace("x", "%78")}`,
  }),
  "a wholly escaped value": (token) => ({
    query: `key=${Array.from(Buffer.from(token), (byte) => `%${byte.toString(16)}`).join("")}`,
  }),
  "OpenAI's subprotocol": (token) => ({
    fields: [`Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.${token}`],
  }),
  "OpenAI's subprotocol in odd case": (token) => ({
    fields: [`Sec-WebSocket-Protocol: OpenAI-Insecure-Api-Key.${token},realtime`],
  }),
  "Deepgram's subprotocols": (token) => ({ fields: [`Sec-WebSocket-Protocol: token, ${token}`] }),
  "Deepgram's subprotocols in two fields": (token) => ({
    fields: ["Sec-WebSocket-Protocol: bearer", `sec-websocket-protocol: ${token}`],
  }),
  "a subprotocol of its own": (token) => ({ fields: [`Sec-WebSocket-Protocol: ${token}`] }),
};

const UPGRADE = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

async function askWith(
  { ask }: Target,
  slots: readonly Slot[],
  more: readonly string[],
): Promise<number> {
  const query = ["model=m%201", ...slots.flatMap((slot) => slot.query ?? []), "b=2"].join("&");
  const fields = slots.flatMap((slot) => slot.fields ?? []);
  const { status } = await ask([`GET /openai/v1/realtime?${query} HTTP/1.1`, ...more, ...fields]);
  return status;
}

function assertClean(sent: string, token: string): void {
  assert.equal(sent.split("HTTP/1.1\r\n").length, 2, "exactly one request");
  assert.equal(sent.includes(token), false, "no token");
  assert.equal(/x3sproxy_|%78|%5f/i.test(sent), false, "no part of it");
  assert.deepEqual(
    sent.match(
      /^(?:authorization|(?:x-|xi-|x-goog-)?api-key|ocp-apim[^:]*|x-acme[^:]*|cookie):.*$/gim,
    ),
    [`authorization: Bearer ${FAKE_KEY}`],
  );
  assert.match(sent, /^GET \/v1\/realtime\?model=m%201&b=2 HTTP\/1.1\r\n/);
}

for (const [kind, fields] of [
  ["an HTTP request", []],
  ["a WebSocket upgrade", UPGRADE],
] as const) {
  test(`${kind} may carry the token in any slot, and nothing of the slot goes up`, async (t) => {
    const target = await openTarget(t);
    for (const [name, slot] of Object.entries(SLOTS)) {
      await t.test(name, async () => {
        assert.equal(await askWith(target, [slot(target.token)], fields), 200);
        assertClean(target.sent(), target.token);
      });
    }
  });

  test(`${kind} may carry the same token in several slots, and all are stripped`, async (t) => {
    const target = await openTarget(t);
    const slots = Object.entries(SLOTS).filter(([name]) => !name.includes("subprotocol"));
    for (const [name, slot] of slots) {
      const both = [slot(target.token), { fields: [`X-Api-Key: ${target.token}`] }];
      assert.equal(await askWith(target, both, fields), 200, name);
      assertClean(target.sent(), target.token);
    }
    const all = slots.map(([, slot]) => slot(target.token));
    assert.equal(await askWith(target, all, fields), 200);
    assertClean(target.sent(), target.token);
  });
}

test("the subprotocols that are no credential go up", async (t) => {
  const target = await openTarget(t);
  for (const [offered, kept] of [
    [
      "realtime, openai-insecure-api-key.TOKEN, openai-beta.realtime-v1",
      "realtime, openai-beta.realtime-v1",
    ],
    ["token, TOKEN", undefined],
    ["TOKEN", undefined],
    ["json,TOKEN,  v2", "json, v2"],
  ] as const) {
    const field = `Sec-WebSocket-Protocol: ${offered.replace("TOKEN", target.token)}`;
    await askWith(target, [{ fields: [field] }], UPGRADE);
    const sent = target.sent();
    assert.equal(/^sec-websocket-protocol: (.*)\r$/im.exec(sent)?.[1], kept, offered);
    assertClean(sent, target.token);
  }
});

test("the handshake's answer names a scheme that the client offered, never a credential", async (t) => {
  const { plane, token } = await openTarget(t, {
    answer:
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
  });
  for (const [offered, named] of [
    ["token, TOKEN", "token"],
    ["TOKEN", undefined],
    ["realtime, TOKEN", undefined],
    ["openai-insecure-api-key.TOKEN", undefined],
  ] as const) {
    const client = await openWireClient(plane.port);
    const protocols = `Sec-WebSocket-Protocol: ${offered.replace("TOKEN", token)}`;
    client.send(
      ["GET /openai/v1/realtime HTTP/1.1", "Host: proxy", ...UPGRADE, protocols, "", ""].join(
        "\r\n",
      ),
    );
    const head = await client.until((text) => text.includes("\r\n\r\n"));
    client.socket.destroy();
    assert.ok(head.startsWith("HTTP/1.1 101 "), head);
    assert.equal(/^sec-websocket-protocol: (.*)\r$/im.exec(head)?.[1], named, offered);
    assert.equal(head.includes(token), false);
  }
});
