import assert from "node:assert/strict";
import { test } from "node:test";
import { createRetention } from "../../src/activity/index.ts";
import { createPool } from "../../src/db/index.ts";
import { newId } from "../../src/platform/ids.ts";
import { insertMinute } from "../support/activity.ts";
import { eventually } from "../support/eventually.ts";
import { openActivity } from "./fixture.ts";

const DAY_MS = 86_400_000;

test("what is older than 35 days goes, in every workspace, and what is younger stays", async (t) => {
  const { database, owner, workspaceId, addWorkspace } = await openActivity(t);
  const other = await addWorkspace("second");
  for (const days of [0, 34, 36, 400]) {
    for (const workspace of [workspaceId, other]) {
      await insertMinute(owner, {
        ...{ workspaceId: workspace, agent: "worker", atMs: Date.now() - days * DAY_MS },
      });
    }
  }
  const agentId = newId();
  await owner`insert into x3sproxy.agents (id, workspace_id, name, environment) values (${agentId}, ${workspaceId}, 'worker', 'production')`;
  for (const id of [agentId, newId()]) {
    await owner`insert into x3sproxy.activity_agents values (${workspaceId}, ${id}, 'openai', 1, now() - interval '99 days')`;
  }
  const pool = createPool(database.controlUrl);
  const retention = createRetention({ pool });
  t.after(() => pool.close());
  await retention.prune();
  await eventually(async () => (await owner`select from x3sproxy.activity_minutes`).length === 4);
  await eventually(async () => (await owner`select from x3sproxy.activity_agents`).length < 2);
  const agents = await owner`select agent_id from x3sproxy.activity_agents`;
  assert.deepEqual(
    [...agents],
    [{ agent_id: agentId }],
    "an agent that is there keeps its last use",
  );
});

test("more than one statement's worth goes in one run, and one process at a time is at it", async (t) => {
  const { database, owner, workspaceId } = await openActivity(t);
  await owner`
    insert into x3sproxy.activity_minutes
    select ${workspaceId}, date_trunc('minute', now()) - interval '40 days' - n * interval '1 minute', 'worker', 'openai',
      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 from generate_series(1, 12000) n`;
  const pool = createPool(database.controlUrl);
  const retention = createRetention({ pool });
  await owner.begin(async (sql) => {
    await sql`select pg_advisory_xact_lock(7233003)`;
    assert.equal(await retention.prune(), 0, "another process is at it");
  });
  t.after(() => pool.close());
  assert.equal(await retention.prune(), 12_000);
});

test("the minutes of a workspace that is no more go, and no others", async (t) => {
  const { database, owner, workspaceId, addWorkspace } = await openActivity(t);
  const doomed = [await addWorkspace("doomed"), await addWorkspace("doomed-too")];
  const kept = [workspaceId, await addWorkspace("second")];
  for (const [count, ids] of [
    [6000, doomed],
    [3, kept],
  ] as const) {
    await owner`
      insert into x3sproxy.activity_minutes
      select w, date_trunc('minute', now()) - n * interval '1 minute', 'worker', 'openai',
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
      from generate_series(1, ${count}::integer) n, unnest(${[...ids]}::uuid[]) w`;
  }
  await owner`delete from x3sproxy.workspaces where id = any (${doomed}::uuid[])`;
  const pool = createPool(database.controlUrl);
  const retention = createRetention({ pool });
  t.after(() => pool.close());
  assert.equal(await retention.prune(), 12_000);
  const left = await owner`
    select workspace_id as id, count(*)::integer as count from x3sproxy.activity_minutes group by 1`;
  assert.deepEqual(
    Object.fromEntries(left.map(({ id, count }) => [id, count])),
    Object.fromEntries(kept.map((id) => [id, 3])),
  );
  assert.equal(await retention.prune(), 0);
});

test("calls go after 48 hours or with their agent, contexts after 35 days, first uses with their agent", async (t) => {
  const { database, owner, workspaceId } = await openActivity(t);
  const agentId = newId();
  await owner`insert into x3sproxy.agents (id, workspace_id, name, environment) values (${agentId}, ${workspaceId}, 'worker', 'production')`;
  for (const id of [agentId, newId()]) {
    for (const hours of [0, 47, 49]) {
      await owner`
        insert into x3sproxy.activity_calls
        values (${workspaceId}, ${id}, now() - ${hours} * interval '1 hour', 'openai', 'GET', '/v1', '', 1)`;
    }
    await owner`
      insert into x3sproxy.agent_first_uses
      values (${workspaceId}, ${id}, 'provider', 'openai', now() - interval '400 days', null, true)`;
  }
  for (const days of [0, 34, 36]) {
    await owner`
      insert into x3sproxy.activity_contexts (workspace_id, minute, agent, provider, context, requests)
      values (${workspaceId}, now() - ${days} * interval '1 day', 'gone', 'openai', '{"run":"1"}', 1)`;
  }
  const pool = createPool(database.controlUrl);
  const retention = createRetention({ pool });
  t.after(() => pool.close());
  await retention.prune();
  assert.equal((await owner`select from x3sproxy.activity_calls`).length, 2);
  assert.equal((await owner`select from x3sproxy.activity_contexts`).length, 2);
  assert.deepEqual(
    [...(await owner`select agent_id from x3sproxy.agent_first_uses`)],
    [{ agent_id: agentId }],
  );
});
