import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import { insertMinute } from "../support/activity.ts";
import { FAKE_KEY, openAdmin, stringAt } from "./fixture.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

interface Item {
  kind: string;
  subject: string;
  since: string;
  detail: string;
}

async function open(t: TestContext) {
  const admin = await openAdmin(t);
  const deploy = async (name: string): Promise<string> =>
    stringAt(await admin.call("POST", `/api/v1/agents/${name}/deployments`, {}), "agent", "id");
  /** Notes that the token of a deployment was used then. */
  const use = (agentId: string, deployment: number, atMs: number) => admin.owner`
    insert into x3sproxy.activity_agents
    values (${admin.workspaceId}, ${agentId}, 'openai', ${deployment}, ${new Date(atMs)})
    on conflict (workspace_id, agent_id, provider) do update set deployment = excluded.deployment, last_used_at = excluded.last_used_at`;
  return {
    ...admin,
    deploy,
    use,
    attention: async (): Promise<Item[]> => {
      const { body } = await admin.call("GET", "/api/v1/overview");
      return (body["overview"] as { attention: Item[] }).attention;
    },
  };
}

const kinds = (items: readonly Item[]): string[][] =>
  items.map(({ kind, subject }) => [kind, subject]);

it("a key that is older than the rule, until it is replaced", async (t) => {
  const { call, clock, attention, owner } = await open(t);
  const secret = { provider: "openai", environment: "staging", value: FAKE_KEY };
  const made = await call("PUT", "/api/v1/secrets", secret);
  const dueAt = stringAt(made, "secret", "dueAt");
  assert.equal(Date.parse(dueAt) - Date.parse(stringAt(made, "secret", "updatedAt")), 90 * DAY_MS);
  clock.advance(90 * DAY_MS - HOUR_MS);
  assert.deepEqual(await attention(), []);
  clock.advance(2 * HOUR_MS);
  assert.deepEqual(await attention(), [
    {
      kind: "rotation_due",
      subject: "openai/staging",
      since: dueAt,
      detail: "The key is 90 days old; it is due for a new one after 90 days.",
    },
  ]);
  await owner`update x3sproxy.secret_versions set created_at = created_at - interval '91 days'`;
  clock.advance(-(90 * DAY_MS + HOUR_MS));
  assert.equal((await attention()).length, 1);
  await call("PUT", "/api/v1/secrets", { ...secret, skipTest: true });
  assert.deepEqual(await attention(), []);
});

it("a key that its provider refuses: in the overview and on the key, to each of the agents that they may see", async (t) => {
  const { call, attention, owner, workspaceId, apiKey } = await open(t);
  const secret = { provider: "openai", environment: "staging", value: FAKE_KEY };
  const id = stringAt(await call("PUT", "/api/v1/secrets", secret), "secret", "id");
  const since = new Date(Date.now() - 600_000).toISOString();
  for (const agent of ["coder", "helper"]) {
    await owner`
      insert into x3sproxy.activity_versions
        (workspace_id, secret_id, version, agent, first_used_at, last_used_at, requests, refused_401, refused_since, refused_at)
      values (${workspaceId}, ${id}, 1, ${agent}, ${since}, now(), 60, 60, ${since}, ${since})`;
  }
  const of = async (key: string) => {
    const { body } = await call("GET", "/api/v1/secrets", undefined, key);
    return (body["secrets"] as { refusals: unknown }[])[0]?.refusals;
  };
  const refusals = { calls: 120, agents: 2, status401: 120, status403: 0, status429: 0 };
  assert.deepEqual(await of(apiKey), { ...refusals, since, latest: since });
  assert.deepEqual(await attention(), [
    {
      kind: "key_refused",
      subject: "openai/staging",
      since,
      detail: "120 calls of 2 agents in a row (120 × 401)",
    },
  ]);
  const limited = await call("POST", "/api/v1/api-keys", {
    ...{ name: "limited", role: "viewer", agents: ["coder"] },
  });
  assert.partialDeepStrictEqual(await of(stringAt(limited, "key")), { calls: 60, agents: 1 });
  const rotated = await call("PUT", "/api/v1/secrets", { ...secret, skipTest: true });
  assert.partialDeepStrictEqual(rotated.body["secret"], { refusals: null });
  assert.deepEqual(await attention(), []);
});

it("the workspace's own rules count, where it has any", async (t) => {
  const { call, clock, attention, owner, deploy } = await open(t);
  await owner`alter table x3sproxy.workspaces add column if not exists rotation_days integer not null default 90`;
  await owner`alter table x3sproxy.workspaces add column if not exists idle_days integer not null default 14`;
  await owner`update x3sproxy.workspaces set rotation_days = 7, idle_days = 3`;
  await call("PUT", "/api/v1/secrets", { provider: "openai", value: FAKE_KEY });
  await deploy("coder");
  clock.advance(6 * DAY_MS);
  assert.deepEqual(kinds(await attention()), [["agent_idle", "coder"]]);
  clock.advance(2 * DAY_MS);
  assert.deepEqual(kinds(await attention()), [
    ["rotation_due", "openai/production"],
    ["agent_idle", "coder"],
  ]);
});

it("an agent that nobody has used for 14 days", async (t) => {
  const { clock, attention, deploy, use } = await open(t);
  const agentId = await deploy("coder");
  const usedMs = clock.nowMs() + HOUR_MS;
  await use(agentId, 1, usedMs);
  clock.advance(14 * DAY_MS);
  assert.deepEqual(await attention(), []);
  clock.advance(HOUR_MS);
  assert.deepEqual(await attention(), [
    {
      kind: "agent_idle",
      subject: "coder",
      since: new Date(usedMs).toISOString(),
      detail: "It was last used 14 days ago.",
    },
  ]);
  await use(agentId, 1, clock.nowMs());
  assert.deepEqual(await attention(), []);
});

it("a token that was not used in the day after its deployment, whatever became of the one before", async (t) => {
  const { clock, attention, deploy, use } = await open(t);
  const agentId = await deploy("coder");
  await use(agentId, 1, clock.nowMs());
  await deploy("coder");
  await deploy("tester");
  clock.advance(DAY_MS - HOUR_MS);
  assert.deepEqual(await attention(), []);
  clock.advance(2 * HOUR_MS);
  assert.deepEqual(kinds(await attention()), [
    ["token_unused", "coder"],
    ["token_unused", "tester"],
  ]);
  await use(agentId, 2, clock.nowMs());
  assert.deepEqual(kinds(await attention()), [["token_unused", "tester"]]);
});

it("refusals that rise: 20 in the last hour, and more than three times an hour of the day before", async (t) => {
  const { attention, owner, workspaceId, clock } = await open(t);
  const nowMs = clock.nowMs();
  const refuse = (agent: string, refusals: number, atMs: number) =>
    insertMinute(owner, { workspaceId, agent, atMs, requests: refusals, refusals });
  await refuse("few", 8, nowMs);
  await refuse("usual", 30, nowMs);
  await refuse("usual", 24 * 15, nowMs - 5 * HOUR_MS);
  assert.deepEqual(await attention(), []);
  await refuse("sudden", 20, nowMs - 30 * 60_000);
  await refuse("risen", 61, nowMs);
  await refuse("risen", 24 * 20, nowMs - 12 * HOUR_MS);
  await refuse("past", 500, nowMs - 26 * HOUR_MS);
  const [risen, sudden, ...rest] = await attention();
  assert.deepEqual(rest, []);
  const sinceMs = Date.parse(risen?.since ?? "") - (nowMs - HOUR_MS);
  assert.ok(sinceMs >= 0 && sinceMs < 10_000);
  assert.partialDeepStrictEqual(risen, {
    kind: "refusals_rising",
    subject: "risen",
    detail: "61 refusals in the last hour; the day before had 20.0 an hour.",
  });
  assert.equal(sudden?.subject, "sudden");
});

it("refusals that rise over many agents, a few each", async (t) => {
  const { attention, owner, workspaceId, clock } = await open(t);
  for (let n = 0; n < 10; n++) {
    await insertMinute(owner, {
      ...{ workspaceId, agent: `agent-${n}`, atMs: clock.nowMs(), requests: 5, refusals: 5 },
    });
  }
  assert.deepEqual(kinds(await attention()), [["refusals_rising", "all agents"]]);
});

it("an agent that did what it never did before, for a week", async (t) => {
  const { attention, clock, deploy, owner, workspaceId } = await open(t);
  const [coder, tester] = [await deploy("coder"), await deploy("tester")];
  const nowMs = clock.nowMs();
  const add = (agentId: string, kind: string, value: string, atMs: number, unusual = true) => owner`
    insert into x3sproxy.agent_first_uses
    values (${workspaceId}, ${agentId}, ${kind}, ${value}, ${new Date(atMs)}, '192.0.2.1', ${unusual})`;
  await add(coder, "provider", "anthropic", nowMs - 8 * DAY_MS, false);
  await add(coder, "path", "POST /anthropic/v1/messages", nowMs - 8 * DAY_MS);
  await add(tester, "provider", "groq", nowMs - HOUR_MS, false);
  assert.deepEqual(await attention(), []);
  await add(coder, "provider", "openai", nowMs - 2 * HOUR_MS);
  const item = { kind: "unusual_use", subject: "coder" };
  const since = new Date(nowMs - 2 * HOUR_MS).toISOString();
  assert.deepEqual(await attention(), [{ ...item, since, detail: "provider openai" }]);
  await add(coder, "path", "POST /openai/v1/responses", nowMs - HOUR_MS);
  await add(coder, "address", "203.0.113.7", nowMs - 3 * HOUR_MS);
  assert.partialDeepStrictEqual(await attention(), [
    { ...item, detail: "path POST /openai/v1/responses, and 2 more" },
  ]);
  clock.advance(7 * DAY_MS);
  assert.ok((await attention()).every(({ kind }) => kind !== "unusual_use"));
});
