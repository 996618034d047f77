import assert from "node:assert/strict";
import { it } from "node:test";
import { FAKE_KEY, OTHER_FAKE_KEY, assertHides, openAdmin, stringAt } from "./fixture.ts";

it("a secret is made, rotated, rolled back and deleted; no answer or log line holds its value", async (t) => {
  const { call, log } = await openAdmin(t);
  const texts: string[] = [];
  const step = async (method: string, path: string, body?: unknown) => {
    const answer = await call(method, path, body);
    texts.push(answer.text, JSON.stringify([...answer.headers]));
    return answer;
  };
  const secret = { provider: "openai", environment: "staging", label: "from the console" };

  const made = await step("PUT", "/api/v1/secrets", { ...secret, value: FAKE_KEY });
  assert.equal(made.status, 201);
  assert.equal(stringAt(made, "secret", "masked"), "sk-…wxyz");
  assert.equal(stringAt(made, "secret", "origin"), "https://api.openai.com");
  const path = `/api/v1/secrets/${stringAt(made, "secret", "id")}`;

  const rotated = await step("PUT", "/api/v1/secrets", {
    ...{ ...secret, value: OTHER_FAKE_KEY, skipTest: true },
  });
  assert.equal(rotated.status, 200);
  assert.partialDeepStrictEqual(rotated.body, { secret: { version: 2, masked: "sk-…abcd" } });

  const versions = await step("GET", `${path}/versions`);
  assert.partialDeepStrictEqual(versions.body, {
    versions: [
      { version: 2, active: true, masked: "sk-…abcd" },
      { version: 1, active: false, masked: "sk-…wxyz" },
    ],
  });

  const back = await step("POST", `${path}/rollback`, {});
  assert.partialDeepStrictEqual(back.body, { secret: { version: 1, masked: "sk-…wxyz" } });
  const forth = await step("POST", `${path}/rollback`, { version: 2 });
  assert.partialDeepStrictEqual(forth.body, { secret: { version: 2 } });
  assert.equal((await step("POST", `${path}/rollback`, { version: 9 })).status, 404);

  const list = await step("GET", "/api/v1/secrets");
  assert.partialDeepStrictEqual(list.body, { secrets: [{ ...secret, version: 2 }] });
  const providers = await step("GET", "/api/v1/providers");
  assert.partialDeepStrictEqual(providers.body, {
    providers: [{ name: "openai", environments: ["staging"], kind: "built-in" }],
  });

  assert.equal((await step("DELETE", path)).status, 200);
  assert.equal((await step("DELETE", path)).status, 404);
  assert.deepEqual((await step("GET", "/api/v1/secrets")).body, {
    secrets: [],
    total: 0,
    nextCursor: null,
  });

  for (const key of [FAKE_KEY, OTHER_FAKE_KEY]) {
    assertHides(texts.join("\n"), key);
    assertHides(log.join(""), key);
  }
});

it("another workspace's key neither sees nor touches it", async (t) => {
  const { call, addKey, addWorkspace } = await openAdmin(t);
  const made = await call("PUT", "/api/v1/secrets", { provider: "openai", value: FAKE_KEY });
  await call("POST", "/api/v1/agents/coder/deployments", {});
  const path = `/api/v1/secrets/${stringAt(made, "secret", "id")}`;
  const stranger = await addKey("owner", await addWorkspace("elsewhere"));

  assert.deepEqual((await call("GET", "/api/v1/secrets", undefined, stranger)).body, {
    secrets: [],
    total: 0,
    nextCursor: null,
  });
  assert.deepEqual((await call("GET", "/api/v1/agents", undefined, stranger)).body, {
    agents: [],
    total: 0,
    nextCursor: null,
  });
  assert.equal((await call("GET", `${path}/versions`, undefined, stranger)).status, 404);
  assert.equal((await call("POST", `${path}/rollback`, {}, stranger)).status, 404);
  assert.equal((await call("DELETE", path, undefined, stranger)).status, 404);
  assert.equal((await call("DELETE", "/api/v1/agents/coder", undefined, stranger)).status, 404);
  assert.equal((await call("GET", `${path}/versions`)).status, 200);
});
