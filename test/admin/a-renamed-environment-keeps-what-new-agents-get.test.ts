// What a workspace says of the environments of new agents goes along with a renamed one: in its order, in the event, and whoever changes
// the rest of it at the same time.
import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import { eventually } from "../support/eventually.ts";
import { openAdmin } from "./fixture.ts";

const NEW = "/api/v1/workspace/new-agents";

async function open(t: TestContext, environments: string[]) {
  const admin = await openAdmin(t);
  const { call } = admin;
  const made = await call("POST", "/api/v1/agents/coder/deployments", { environment: "dev" });
  assert.equal(made.status, 201, made.text);
  assert.equal((await call("PATCH", NEW, { environments })).status, 200);
  return {
    ...admin,
    rename: () => call("PATCH", "/api/v1/environments/dev", { name: "alpha" }),
    environments: async () => {
      const { newAgents } = (await call("GET", NEW)).body as {
        newAgents: { environments: string[] };
      };
      return newAgents.environments;
    },
  };
}

it("new agents begin in the same environment as before", async (t) => {
  const { call, rename, environments } = await open(t, ["staging", "qa", "beta", "dev"]);
  assert.equal((await rename()).status, 200);
  assert.deepEqual(await environments(), ["staging", "qa", "beta", "alpha"]);
  const { agent } = (await call("POST", "/api/v1/agents/new/deployments", {})).body as {
    agent: { environment: string };
  };
  assert.equal(agent.environment, "staging");
});

it("the event says what new agents get from then on", async (t) => {
  const { call, rename } = await open(t, ["dev"]);
  assert.equal((await rename()).status, 200);
  const { events } = (await call("GET", "/api/v1/audit?action=environment.rename")).body as {
    events: [{ detail: string }];
  };
  assert.deepEqual(JSON.parse(events[0].detail), {
    name: "dev → alpha",
    "newAgents.environments": "dev → alpha",
  });
});

it("a change of new agents at the same time does not bring the old name back", async (t) => {
  const { call, rename, environments, owner, database } = await open(t, ["dev"]);
  const waiting = (many: number) =>
    eventually(async () => {
      const rows = await owner`
        select from pg_stat_activity
        where datname = ${new URL(database.ownerUrl).pathname.slice(1)} and wait_event_type = 'Lock'`;
      return rows.count === many;
    });
  const { answers } = await owner.begin(async (sql) => {
    await sql`select from x3sproxy.new_agent_scopes where agent = '' for update`;
    const renaming = rename();
    await waiting(1);
    const changing = call("PATCH", NEW, { limits: { openStreams: 3 } });
    await waiting(2);
    return { answers: Promise.all([renaming, changing]) };
  });
  const [renamed, changed] = await answers;
  assert.deepEqual([renamed.status, changed.status], [200, 200]);
  assert.deepEqual(await environments(), ["alpha"]);
});
