import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { DAY_MS, openLogs } from "./log-fixture.ts";

let logs: Awaited<ReturnType<typeof openLogs>>;
before(async () => (logs = await openLogs()));
after(() => logs.close());

test("one workspace among hundreds is found and pruned, in parts of 200 workspaces", async () => {
  await logs.owner(
    (sql) => sql`
      insert into x3sproxy.audit_retentions (workspace_id)
      select md5(n::text)::uuid from generate_series(1, 450) n`,
  );
  const workspaceId = await logs.addWorkspace();
  await logs.addEvents(workspaceId, [Date.now() - 400 * DAY_MS, Date.now()]);
  const places: (string | null)[] = [];
  let pruned = 0;
  let place: string | null = null;
  do {
    const [part] = await logs.owner(
      (sql) => sql<{ pruned: number; place: string | null }[]>`
        select pruned::float8, at_workspace as place from x3sproxy.prune_audit(${place})`,
    );
    assert.ok(part !== undefined);
    ({ place } = part);
    pruned += part.pruned;
    places.push(place);
  } while (place !== null);
  assert.equal(pruned, 1);
  assert.ok(places.length >= 3, `${places.length} parts`);
  assert.equal(await logs.retention.prune(), 0);
});

test("events that somebody took away, more than a part of them, do not stop the pruning of what came after", async () => {
  const workspaceId = await logs.addWorkspace();
  const old = Date.now() - 400 * DAY_MS;
  await logs.owner(
    (sql) => sql`
      insert into x3sproxy.audit_events
        (workspace_id, created_at, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result)
      select ${workspaceId}, ${new Date(old)}, 'service', 'x3sproxy', 'test', 'secret.set', 'secret', i, i, 'done'
      from generate_series(1, 1500) i`,
  );
  await logs.sequencer.run();
  await logs.owner(
    (sql) => sql`
      delete from x3sproxy.audit_events where id in (
        select event_id from x3sproxy.audit_leaves where workspace_id = ${workspaceId} and leaf_index < 1200)`,
  );
  assert.equal(await logs.retention.prune(), 300);
});
