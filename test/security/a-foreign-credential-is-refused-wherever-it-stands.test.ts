// An agent that brings a key of its own could carry data out to its own account, through a host that is allowed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FOREIGN_KEY, openTarget } from "../support/attack.ts";
import { actorIn } from "../support/actor.ts";

const basic = (text: string): string => Buffer.from(text).toString("base64");

const FIELDS = [
  `Authorization: Bearer ${FOREIGN_KEY}`,
  `Authorization: ${FOREIGN_KEY}`,
  `aUtHoRiZaTiOn:\tbearer\t${FOREIGN_KEY}`,
  `Authorization: Token ${FOREIGN_KEY}`,
  `Authorization: Key ${FOREIGN_KEY}`,
  `Authorization: Basic ${basic(`user:${FOREIGN_KEY}`)}`,
  `Authorization: Basic ${basic(FOREIGN_KEY)}`,
  `Authorization: AWS4-HMAC-SHA256 Credential=FAKE/20261122/us-east-1/bedrock/aws4_request, Signature=0a`,
  `Authorization: Digest username="fake", response="0a"`,
  `X-Api-Key: ${FOREIGN_KEY}`,
  `api-key: ${FOREIGN_KEY}`,
  `x-goog-api-key: ${FOREIGN_KEY}`,
  `xi-api-key: ${FOREIGN_KEY}`,
  `Ocp-Apim-Subscription-Key: ${FOREIGN_KEY}`,
  // Behind a CGI-like interface the same header.
  `X_Api_Key: ${FOREIGN_KEY}`,
  `xi_api_key: ${FOREIGN_KEY}`,
  `Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.${FOREIGN_KEY}`,
  `Sec-WebSocket-Protocol: OPENAI-insecure-api-key.${FOREIGN_KEY}`,
  `Sec-WebSocket-Protocol: token, ${FOREIGN_KEY}`,
  `Sec-WebSocket-Protocol: Bearer,${FOREIGN_KEY}`,
  `Sec-WebSocket-Protocol: bearer\r\nSec-WebSocket-Protocol: ${FOREIGN_KEY}`,
  `Sec-WebSocket-Protocol: xai-client-secret.${FOREIGN_KEY}`,
  "Sec-WebSocket-Protocol: realtime, rt_FAKE",
];

const QUERIES = [
  `key=${FOREIGN_KEY}`,
  `KEY=${FOREIGN_KEY}`,
  `k%65y=${FOREIGN_KEY}`,
  `%6B%65%79=${FOREIGN_KEY}`,
  `+key=${FOREIGN_KEY}`,
  `key%00=${FOREIGN_KEY}`,
  `$key=${FOREIGN_KEY}`,
  `key[]=${FOREIGN_KEY}`,
  `key%5B%5D=${FOREIGN_KEY}`,
  `key=&key=${FOREIGN_KEY}`,
  `a=1;key=${FOREIGN_KEY}`,
  `;key=${FOREIGN_KEY}`,
  `&key=${FOREIGN_KEY}`,
  `a=%zz&key=${FOREIGN_KEY}`,
  `api_key=${FOREIGN_KEY}`,
  `api-key=${FOREIGN_KEY}`,
  `apikey=${FOREIGN_KEY}`,
  `access_token=${FOREIGN_KEY}`,
  `oauth_token=${FOREIGN_KEY}`,
  `token=${FOREIGN_KEY}`,
  `authorization=Bearer+${FOREIGN_KEY}`,
  `subscription-key=${FOREIGN_KEY}`,
  `X-Amz-Credential=FAKE&X-Amz-Signature=0a`,
];

const REGISTRATION = `x3sreg_FAKE${"R".repeat(28)}`;

test("a registration token is none for a call: refused in every slot and in any other header", async (t) => {
  const { ask, sent, token, plane, upstream } = await openTarget(t);
  const instead = (text: string): string =>
    text
      .replaceAll(FOREIGN_KEY, REGISTRATION)
      .replace(basic(`user:${FOREIGN_KEY}`), basic(`user:${REGISTRATION}`))
      .replace(basic(FOREIGN_KEY), basic(REGISTRATION));
  const requests = [
    ...FIELDS.map((field) => ["/openai/v1/models", instead(field)] as const),
    ...QUERIES.map((query) => [`/openai/v1/models?${instead(query)}`] as const),
    ["/openai/v1/models", `X-Note: ${REGISTRATION}`] as const,
    [`/openai/v1/models?note=${REGISTRATION}`] as const,
  ].filter(
    (request) => request.join(" ").includes("x3sreg_") || request.join(" ").includes("Basic"),
  );
  for (const [target, ...foreign] of requests) {
    for (const fields of [foreign, [...foreign, `Authorization: Bearer ${token}`]]) {
      const { status, header, text } = await ask([`GET ${target} HTTP/1.1`, ...fields]);
      const what = [target, ...fields].join(" ");
      assert.equal(header("x3sproxy-refusal"), "foreign_credential", what);
      assert.equal(status, 401, what);
      assert.equal(text.includes(REGISTRATION), false, what);
    }
  }
  assert.equal(sent(), "");
  assert.equal(upstream.connections.length, 0);
  await plane.drain();
  assert.equal(JSON.stringify(plane.logged()).includes(REGISTRATION), false);
});

test("a foreign credential is refused in every slot, alone and beside a good token", async (t) => {
  const { ask, sent, token, upstream } = await openTarget(t);
  const good = [`Authorization: Bearer ${token}`, `X-Api-Key: ${token}`];
  const requests = [
    ...FIELDS.map((field) => ["/openai/v1/models", field] as const),
    ...QUERIES.map((query) => [`/openai/v1/models?${query}`] as const),
  ];
  for (const [target, ...foreign] of requests) {
    for (const fields of [foreign, [...foreign, ...good], [...good, ...foreign]]) {
      const { status, header, text } = await ask([`GET ${target} HTTP/1.1`, ...fields]);
      const what = [target, ...foreign].join(" ");
      assert.equal(header("x3sproxy-refusal"), "foreign_credential", what);
      assert.equal(status, 401, what);
      assert.equal(text.includes("FAKE"), false, what);
    }
  }
  assert.equal(sent(), "");
  assert.equal(upstream.connections.length, 0);
});

test("a foreign credential is seen behind thousands of other fields", async (t) => {
  const { ask, token, upstream } = await openTarget(t);
  const { status } = await ask([
    "GET /openai/v1/models HTTP/1.1",
    `Authorization: Bearer ${token}`,
    ...Array.from({ length: 5_000 }, (_, i) => `a${i}: b`),
    `X-Api-Key: ${FOREIGN_KEY}`,
  ]);
  assert.ok(status === 401 || status === 431, String(status));
  assert.equal(upstream.connections.length, 0);
});

test("a custom provider's own header is a slot, also when it is repeated or written with underscores", async (t) => {
  const { plane, ask, upstream } = await openTarget(t);
  await plane.customProviders.put(actorIn(plane.workspaceId), {
    name: "acme",
    origin: upstream.origin,
    header: "X-Acme-Key",
    scheme: "Secret",
  });
  await plane.save("acme");
  const token = await plane.deploy("acme-agent");
  const good = `X-Acme-Key: Secret ${token}`;
  for (const fields of [
    [`Authorization: Bearer ${token}`, `X-Acme-Key: ${FOREIGN_KEY}`],
    [good, `X-Acme-Key: Secret ${FOREIGN_KEY}`],
    [`X-Acme-Key: Secret ${FOREIGN_KEY}`, good],
    [good, `x_acme_key: ${FOREIGN_KEY}`],
  ]) {
    const { header } = await ask(["GET /acme/v1/things HTTP/1.1", ...fields]);
    assert.equal(header("x3sproxy-refusal"), "foreign_credential", fields.join());
  }
  assert.equal(upstream.connections.length, 0);
  assert.equal((await ask(["GET /acme/v1/things HTTP/1.1", good, "x-acme-key:"])).status, 200);
  assert.equal(upstream.connections.length, 1);
});
