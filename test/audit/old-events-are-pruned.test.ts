import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test, { after, before } from "node:test";
import { createAuditRetention } from "../../src/audit/index.ts";
import { DAY_MS, openLogs } from "./log-fixture.ts";

let logs: Awaited<ReturnType<typeof openLogs>>;
before(async () => (logs = await openLogs()));
after(() => logs.close());

/** The beginning of today, UTC: events are pruned by whole days. */
const today = (): number => Math.floor(Date.now() / DAY_MS) * DAY_MS;
const daysAgo = (days: number): number => today() - days * DAY_MS;
const upTo = (count: number, from = 0): number[] =>
  Array.from({ length: count - from }, (_, i) => from + i);

async function setDays(workspaceId: string, days: number | null): Promise<void> {
  await logs.pool.inWorkspace(
    workspaceId,
    (sql) =>
      sql`update x3sproxy.audit_retentions set days = ${days} where workspace_id = ${workspaceId}`,
  );
}

/** As if the rule had been changed long ago. */
async function ageRule(workspaceId: string, interval = "8 days"): Promise<void> {
  await logs.owner(
    (sql) => sql`
      update x3sproxy.audit_retentions set changed_at = changed_at - ${interval}::interval
      where workspace_id = ${workspaceId}`,
  );
}

async function prunings(workspaceId: string): Promise<unknown[]> {
  const rows = await logs.owner(
    (sql) => sql<{ detail: string }[]>`
      select detail from x3sproxy.audit_events
      where workspace_id = ${workspaceId} and action = 'audit.prune' order by id`,
  );
  return rows.map(({ detail }) => JSON.parse(detail) as unknown);
}

test("what is older than the retention, by whole days, goes; its leaf stays, and an event says so", async () => {
  const workspaceId = await logs.addWorkspace();
  const bound = daysAgo(365);
  await logs.addEvents(workspaceId, [bound - 9 * DAY_MS, bound - 1, bound, bound + 1, Date.now()]);
  const { tree } = await logs.look(workspaceId);
  assert.equal(await logs.retention.prune(), 2);
  const until = new Date(bound).toISOString();
  assert.deepEqual(await prunings(workspaceId), [{ before: 2, count: 2, days: 365, until }]);
  assert.deepEqual((await logs.look(workspaceId)).gone, [0, 1]);
  assert.equal(tree.size, 5);
  assert.equal(await logs.retention.prune(), 0);
  assert.equal((await prunings(workspaceId)).length, 1, "nothing pruned is nothing said");
  await logs.sequencer.run();
  assert.equal((await logs.look(workspaceId)).tree.size, 6, "the pruning's own event is sealed");
});

test("only the tree's beginning goes, and nothing that isn't sealed", async () => {
  const workspaceId = await logs.addWorkspace();
  const old = daysAgo(400);
  await logs.addEvents(workspaceId, [old, Date.now(), old]);
  await logs.addEvents(workspaceId, [old], false);
  assert.equal(await logs.retention.prune(), 1);
  await logs.sequencer.run();
  assert.deepEqual((await logs.look(workspaceId)).gone, [0]);
  const unsealed = await logs.addWorkspace();
  await logs.addEvents(unsealed, [old], false);
  assert.equal(await logs.retention.prune(), 0);
  await logs.sequencer.run();
  assert.equal(await logs.retention.prune(), 1, "once it is sealed it goes");
});

test("an event that somebody took away stays missing until what came after it has had its time", async () => {
  const workspaceId = await logs.addWorkspace();
  await logs.addEvents(workspaceId, [daysAgo(400), Date.now(), Date.now()]);
  await logs.owner(
    (sql) => sql`
      delete from x3sproxy.audit_events where id = (
        select event_id from x3sproxy.audit_leaves where workspace_id = ${workspaceId} and leaf_index = 1)`,
  );
  assert.equal(await logs.retention.prune(), 1);
  assert.partialDeepStrictEqual(await prunings(workspaceId), [{ before: 1 }]);
});

test("events of a pruning are pruned like others, and the latest one covers all", async () => {
  const workspaceId = await logs.addWorkspace();
  await logs.addEvents(workspaceId, [daysAgo(500), daysAgo(390)]);
  assert.equal(await logs.retention.prune(), 2);
  await logs.sequencer.run();
  await logs.owner(
    (sql) => sql`
      update x3sproxy.audit_events set created_at = ${new Date(daysAgo(370))} where workspace_id = ${workspaceId}`,
  );
  assert.equal(await logs.retention.prune(), 1);
  await logs.sequencer.run();
  assert.partialDeepStrictEqual(await prunings(workspaceId), [{ before: 3, count: 1 }]);
  assert.deepEqual((await logs.look(workspaceId)).gone, [0, 1, 2]);
});

test("for ever is for ever, and a deleted workspace's events have the rule that it had", async () => {
  const [kept, deleted] = [await logs.addWorkspace(), await logs.addWorkspace()];
  await setDays(kept, null);
  await setDays(deleted, 40);
  for (const id of [kept, deleted]) await ageRule(id);
  await logs.sequencer.run();
  await logs.owner((sql) => sql`delete from x3sproxy.workspaces where id = ${deleted}`);
  for (const id of [kept, deleted]) await logs.addEvents(id, [daysAgo(5000), daysAgo(41)]);
  // In each the first leaf is the event of the rule's change, of now.
  await logs.owner(
    (sql) => sql`
      update x3sproxy.audit_events set created_at = ${new Date(daysAgo(6000))}
      where action = 'workspace.change' and workspace_id in (${kept}, ${deleted})`,
  );
  assert.equal(await logs.retention.prune(), 3);
  assert.deepEqual(await prunings(kept), []);
  assert.partialDeepStrictEqual(await prunings(deleted), [{ before: 3, days: 40 }]);
});

test("a rule that was made shorter counts a week later, however often it is changed meanwhile", async () => {
  const workspaceId = await logs.addWorkspace();
  await logs.addEvents(workspaceId, [daysAgo(100)]);
  await setDays(workspaceId, 2190);
  await setDays(workspaceId, 30);
  assert.equal(await logs.retention.prune(), 0);
  await ageRule(workspaceId, "6 days 23 hours");
  await setDays(workspaceId, 31);
  await ageRule(workspaceId, "6 days 23 hours");
  assert.equal(await logs.retention.prune(), 0);
  await ageRule(workspaceId, "1 hour");
  assert.equal(await logs.retention.prune(), 1);
  const changes = await logs.owner(
    (sql) => sql<{ detail: string }[]>`
      select detail from x3sproxy.audit_events where workspace_id = ${workspaceId} and action = 'workspace.change' order by id`,
  );
  assert.deepEqual(
    changes.map(({ detail }) => detail),
    [
      '{"auditRetentionDays":2190,"auditRetentionDaysBefore":365}',
      '{"auditRetentionDays":30,"auditRetentionDaysBefore":2190}',
      '{"auditRetentionDays":31,"auditRetentionDaysBefore":30}',
    ],
    "each change leaves an event of the database's own",
  );
});

test("with the control login alone nothing more can be taken", async () => {
  const workspaceId = await logs.addWorkspace();
  await logs.addEvents(workspaceId, [daysAgo(400)]);
  const denied = (statement: string): Promise<void> =>
    assert.rejects(
      logs.pool.inWorkspace(workspaceId, (sql) => sql.unsafe(statement)),
      { code: "42501" },
      statement,
    );
  await denied("delete from x3sproxy.audit_events");
  await denied("update x3sproxy.audit_events set actor_salt = null");
  await denied("delete from x3sproxy.audit_retentions");
  await denied("update x3sproxy.audit_retentions set changed_at = '-infinity'");
  await denied("update x3sproxy.audit_retentions set days_before = 30");
  await denied("update x3sproxy.audit_retentions set pruned_before = 0");
  await denied("insert into x3sproxy.audit_retentions (workspace_id) values (gen_random_uuid())");
  await denied("insert into x3sproxy.audit_erasures values (gen_random_uuid(), 0, 'actor', 1)");
  await denied("delete from x3sproxy.audit_checkpoints");
  await assert.rejects(setDays(workspaceId, 29), { code: "23514" });
  const pruningElsewhere = await logs.pool.inWorkspace(
    randomUUID(),
    (sql) => sql`update x3sproxy.audit_retentions set days = 30`,
  );
  assert.equal(pruningElsewhere.count, 0, "another workspace's rule is out of reach");
  assert.equal(await logs.retention.prune(), 1);
});

test("many events go in parts, and of two processes each event goes once", async () => {
  const workspaceId = await logs.addWorkspace();
  await logs.owner(
    (sql) => sql`
      insert into x3sproxy.audit_events
        (workspace_id, created_at, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result)
      select ${workspaceId}, ${new Date(daysAgo(400))}, 'service', 'x3sproxy', 'test', 'secret.set', 'secret', i, i, 'done'
      from generate_series(1, 2200) i`,
  );
  await logs.sequencer.run();
  const others = [logs.newPool(), logs.newPool()];
  const counts = await Promise.all(others.map((pool) => createAuditRetention({ pool }).prune()));
  for (const pool of others) await pool.close();
  const more = await logs.retention.prune();
  assert.equal(
    counts.reduce((sum, each) => sum + each, more),
    2200,
  );
  assert.partialDeepStrictEqual(await prunings(workspaceId), [
    { before: 1000, count: 1000 },
    { before: 2000, count: 1000 },
    { before: 2200, count: 200 },
  ]);
  await logs.sequencer.run();
  assert.deepEqual((await logs.look(workspaceId)).gone, upTo(2200));
});

test("of old checkpoints each day's last stays, and the log goes on", async () => {
  const workspaceId = await logs.addWorkspace();
  await setDays(workspaceId, null);
  await logs.sequencer.run();
  for (let i = 0; i < 6; i += 1) await logs.addEvents(workspaceId, [Date.now()]);
  const hour = DAY_MS / 24;
  const times = [
    ...[daysAgo(40) + hour, daysAgo(40) + 23 * hour, daysAgo(39) + hour],
    ...[daysAgo(31) + hour, daysAgo(31) + 2 * hour, daysAgo(30), daysAgo(30) + hour],
  ];
  await logs.owner(async (sql) => {
    for (const [i, time] of times.entries()) {
      await sql`
        update x3sproxy.audit_checkpoints set created_at = ${new Date(time)}
        where workspace_id = ${workspaceId} and size = ${i + 1}`;
    }
  });
  const sizes = async (): Promise<number[]> => {
    const rows = await logs.owner(
      (sql) => sql<{ size: number }[]>`
        select size::float8 as size from x3sproxy.audit_checkpoints where workspace_id = ${workspaceId} order by size`,
    );
    return rows.map(({ size }) => size);
  };
  assert.deepEqual(await sizes(), upTo(8, 1));
  assert.equal(await logs.retention.prune(), 2);
  assert.deepEqual(await sizes(), [2, 3, 5, 6, 7]);
  assert.equal(await logs.retention.prune(), 0);
  await logs.addEvents(workspaceId, [Date.now()]);
  assert.equal((await logs.look(workspaceId)).tree.size, 8);
});
