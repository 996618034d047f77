import assert from "node:assert/strict";
import { it } from "node:test";
import { assertHides, openAdmin, stringAt, type Answer } from "./fixture.ts";

const KEY = "FAKE-idempotency-key-1";

it("the same key, body and caller get the same answer, another caller a deployment of its own", async (t) => {
  const { send, apiKey, addKey, call, log } = await openAdmin(t);
  const deploy = (
    o: { body?: object; key?: string; caller?: string; agent?: string } = {},
  ): Promise<Answer> =>
    send(`/api/v1/agents/${o.agent ?? "coder"}/deployments`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${o.caller ?? apiKey}`,
        "content-type": "application/json",
        "idempotency-key": o.key ?? KEY,
      },
      body: JSON.stringify(o.body ?? { ttlSeconds: 3600 }),
    });

  const [first, twin] = await Promise.all([deploy(), deploy()]);
  assert.equal(first.status, 201);
  assert.equal(twin.text, first.text);
  assert.equal((await deploy()).text, first.text);
  const other = await deploy({ body: { ttlSeconds: 7200 } });
  assert.equal(other.status, 409);
  assert.equal(other.body["code"], "idempotency_conflict");

  const stranger = await deploy({ caller: await addKey("operator") });
  assert.notEqual(stringAt(stranger, "token"), stringAt(first, "token"));
  assert.partialDeepStrictEqual(stranger.body, { agent: { deployment: 2 } });
  assert.equal((await deploy()).body["code"], "idempotency_conflict", "no longer the newest");
  assertHides(log.join(""), KEY);
  assertHides((await call("GET", "/api/v1/audit")).text, KEY);
});

it("a key is 1 to 200 visible ASCII characters", async (t) => {
  const { send, apiKey, call } = await openAdmin(t);
  for (const [key, status] of [
    ["", 422],
    ["two words", 422],
    ["é", 422],
    ["x".repeat(201), 422],
    ["x".repeat(200), 201],
    ["~!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}", 201],
  ] as const) {
    const answer = await send("/api/v1/agents/coder/deployments", {
      method: "POST",
      headers: {
        authorization: `Bearer ${apiKey}`,
        "content-type": "application/json",
        "idempotency-key": key,
      },
      body: "{}",
    });
    assert.equal(answer.status, status, JSON.stringify(key));
  }
  assert.partialDeepStrictEqual((await call("GET", "/api/v1/agents")).body, {
    agents: [{ deployment: 2 }],
  });
});
