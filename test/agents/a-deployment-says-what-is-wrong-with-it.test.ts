import assert from "node:assert/strict";
import { test } from "node:test";
import type { Deployment } from "../../src/agents/index.ts";
import { createHouse } from "../grants/house.ts";
import { actorIn } from "../support/actor.ts";

const DAY_MS = 86_400_000;
const WRONG: [code: string, Partial<Deployment>[]][] = [
  [
    "agent_name_invalid",
    ["", "A", "a b", "-a", ".a", "a".repeat(64), "a\n", "ä", "a/b"].map((name) => ({ name })),
  ],
  [
    "environment_invalid",
    ["", "Prod", "a.b", "-a", "a".repeat(64), "a\n"].map((environment) => ({ environment })),
  ],
  [
    "provider_unknown",
    [["nobody"], ["openai", "nobody"], [""], ["of-another-workspace"]].map((providers) => ({
      providers,
    })),
  ],
  [
    "endpoint_unknown",
    [
      "",
      "openai",
      "openai:",
      "openai:nothing",
      "nobody:realtime-client-secrets",
      "openai:realtime-client-secrets:",
      "groq:realtime-client-secrets",
    ].map((endpoint) => ({ allowedEndpoints: ["openai:realtime-client-secrets", endpoint] })),
  ],
  [
    "ttl_invalid",
    [0, -1, 59_999, 365 * DAY_MS + 1, Number.NaN, Number.POSITIVE_INFINITY].map((ttlMs) => ({
      ttlMs,
    })),
  ],
];

test("each mistake has its code, and nothing is changed", async (t) => {
  const { agents, customProviders, workspaceId, addWorkspace } = await createHouse(t);
  await customProviders.put(actorIn(await addWorkspace("other")), {
    name: "of-another-workspace",
    origin: "https://a.example",
    header: "x-key",
    scheme: "",
  });
  const { agent } = await agents.deploy(actorIn(workspaceId), { name: "a" });
  for (const [code, requests] of WRONG) {
    for (const request of requests) {
      await assert.rejects(
        agents.deploy(actorIn(workspaceId), { name: "a", ...request }),
        { name: "RequestError", status: 422, code },
        JSON.stringify(request),
      );
    }
  }
  assert.deepEqual(await agents.list(workspaceId), [agent]);
});

test("the bounds themselves are fine", async (t) => {
  const { agents, workspaceId } = await createHouse(t);
  for (const request of [
    { name: "a".repeat(63), ttlMs: 60_000 },
    { name: "0", ttlMs: 365 * DAY_MS, environment: "e".repeat(63) },
  ]) {
    const { agent } = await agents.deploy(actorIn(workspaceId), request);
    assert.equal(agent.name, request.name);
  }
});
