import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import { insertCalls } from "../support/activity.ts";
import { openAdmin, stringAt, type Answer } from "./fixture.ts";

const HOUR_MS = 3_600_000;
const PATH = "/api/v1/agents/coder/scope";

async function open(t: TestContext) {
  const admin = await openAdmin(t);
  const { call, owner, workspaceId, clock } = admin;
  const deployed = await call("POST", "/api/v1/agents/coder/deployments", {});
  const agentId = stringAt(deployed, "agent", "id");
  const add = (
    row: Omit<Parameters<typeof insertCalls>[1], "workspaceId" | "agentId" | "atMs">,
    requests: number,
    atMs = clock.nowMs(),
  ) => insertCalls(owner, { workspaceId, agentId, atMs, ...row }, requests);
  const tried = async (body: object): Promise<Record<string, unknown>> => {
    const answer = await call("POST", `${PATH}/dry-run`, body);
    assert.equal(answer.status, 200, answer.text);
    return answer.body["dryRun"] as Record<string, unknown>;
  };
  return { ...admin, agentId, add, tried };
}

it("how many it would have refused, why, and which", async (t) => {
  const { add, tried, call, clock, owner } = await open(t);
  const nowMs = clock.nowMs();
  await add({}, 4000);
  await add({}, 298, nowMs - 23 * HOUR_MS);
  await add({ method: "GET", path: "/v1/files/file-1" }, 7);
  await add({ method: "DELETE", path: "/v1/files/file-1" }, 3);
  await add({ provider: "mistral", path: "/v1/chat/completions" }, 2);
  await add({}, 1000, nowMs - 26 * HOUR_MS);
  const rules = ["POST /openai/v1/responses"];
  const dryRun = await tried({ rules });
  assert.ok(Math.abs(Date.parse(String(dryRun["to"])) - nowMs) < 60_000);
  const sinceMs = nowMs - Date.parse(String(dryRun["from"]));
  assert.ok(sinceMs >= 24 * HOUR_MS && sinceMs < 25 * HOUR_MS + 60_000);
  const at = { address: "192.0.2.1", reason: "path_not_allowed" };
  const file = { ...at, provider: "openai", path: "/v1/files/file-1" };
  const examples = [
    { ...file, method: "GET", calls: 7 },
    { ...file, method: "DELETE", calls: 3 },
    { ...at, provider: "mistral", method: "POST", path: "/v1/chat/completions", calls: 2 },
  ];
  assert.deepEqual(dryRun, {
    ...{ from: dryRun["from"], to: dryRun["to"], calls: 4310, refused: 12, unknown: 0 },
    judged: { models: false, limits: false },
    byReason: [{ reason: "path_not_allowed", calls: 12 }],
    examples,
  });
  assert.partialDeepStrictEqual(await tried({ rules, providers: ["openai"] }), {
    refused: 12,
    byReason: [
      { reason: "path_not_allowed", calls: 10 },
      { reason: "provider_not_allowed", calls: 2 },
    ],
  });
  const { body } = await call("GET", "/api/v1/agents/coder");
  assert.partialDeepStrictEqual(body, { agent: { rules: null, providers: null } });
  const audited = await owner`select from x3sproxy.audit_events where action = 'agent.scope'`;
  assert.equal(audited.length, 0, "nothing was changed");
});

it("what is left out is as the agent has it; the rest as in a change", async (t) => {
  const { add, tried, call } = await open(t);
  await add({ path: "/v1/files" }, 5);
  await add({ path: "/v1/images", address: "2001:db8::1" }, 3);
  await call("PATCH", PATH, { rules: ["* /openai/v1/files"], addresses: ["192.0.2.0/24"] });
  assert.partialDeepStrictEqual(await tried({}), { calls: 8, refused: 3 });
  assert.partialDeepStrictEqual(await tried({ addresses: null }), {
    byReason: [{ reason: "path_not_allowed", calls: 3 }],
  });
  assert.partialDeepStrictEqual(await tried({ addresses: null, rules: null }), { refused: 0 });
  assert.partialDeepStrictEqual(await tried({ scopeExpiresAt: "2020-01-01T00:00:00Z" }), {
    byReason: [{ reason: "scope_expired", calls: 8 }],
  });
  assert.partialDeepStrictEqual(
    await tried({
      models: ["none"],
      limits: { requestsPerMinute: 1 },
      addresses: null,
      rules: null,
    }),
    { refused: 0, judged: { models: false, limits: false } },
  );
});

it("a call of which too little is known is counted as such, unless what is known is enough", async (t) => {
  const { add, tried } = await open(t);
  await add({ path: "" }, 4);
  await add({ provider: "mistral", path: "", address: "2001:db8::1" }, 3);
  await add({ provider: "", method: "", path: "", address: "" }, 2);
  await add({ address: "" }, 1);
  assert.partialDeepStrictEqual(await tried({}), { calls: 10, refused: 0, unknown: 9 });
  assert.partialDeepStrictEqual(await tried({ providers: ["openai"] }), { refused: 3, unknown: 6 });
  assert.partialDeepStrictEqual(await tried({ addresses: ["192.0.2.1"] }), {
    refused: 4, // from no known address, none is allowed
    unknown: 6,
  });
});

it("at most 20 examples, most calls first", async (t) => {
  const { add, tried } = await open(t);
  for (let n = 1; n <= 25; n++) await add({ path: `/v1/n${n}` }, n);
  const { examples, refused } = (await tried({ rules: [] })) as {
    examples: { calls: number }[];
    refused: number;
  };
  assert.equal(refused, 325);
  assert.deepEqual(
    examples.map(({ calls }) => calls),
    Array.from({ length: 20 }, (_, n) => 25 - n),
  );
});

it("what is wrong with it is said as of a change, and it takes an admin", async (t) => {
  const { call, addKey, add } = await open(t);
  await add({}, 1);
  for (const body of [
    { rules: ["nonsense"] },
    { providers: ["nobody"] },
    { allowedEndpoints: ["openai:nothing"] },
    { addresses: ["somewhere"] },
    { models: ["a b"] },
    { colour: "red" },
    { limits: { requestsPerMinute: 0 } },
  ]) {
    const of = ({ status, body: problem }: Answer) => [status, problem["code"]];
    const dry = of(await call("POST", `${PATH}/dry-run`, body));
    assert.deepEqual(dry, of(await call("PATCH", PATH, body)));
    assert.equal(dry[0], 422);
  }
  const missing = await call("POST", "/api/v1/agents/nobody/scope/dry-run", {});
  assert.deepEqual([missing.status, missing.body["code"]], [404, "agent_not_found"]);
  const operator = await addKey("operator");
  assert.equal((await call("POST", `${PATH}/dry-run`, {}, operator)).status, 403);
});

it("another workspace's calls, and those of an agent of the same name before, don't count", async (t) => {
  const { call, addKey, addWorkspace, add, tried } = await open(t);
  await add({}, 5);
  const stranger = await addKey("owner", await addWorkspace("elsewhere"));
  await call("POST", "/api/v1/agents/coder/deployments", {}, stranger);
  const theirs = await call("POST", `${PATH}/dry-run`, { rules: [] }, stranger);
  assert.partialDeepStrictEqual(theirs.body, { dryRun: { calls: 0, refused: 0 } });
  await call("DELETE", "/api/v1/agents/coder");
  await call("POST", "/api/v1/agents/coder/deployments", {});
  assert.partialDeepStrictEqual(await tried({ rules: [] }), { calls: 0, refused: 0 });
});
