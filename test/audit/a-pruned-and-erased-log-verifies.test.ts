// Retention and erasure as whoever verifies an export offline sees them.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test from "node:test";
import { createAuditRetention, createErasures } from "../../src/audit/index.ts";
import { actorIn } from "./log-fixture.ts";
import { openSealedLog, verify } from "./sealed-log.ts";

test("an export of a log that was pruned and erased from verifies, and says how much", async (t) => {
  const log = await openSealedLog();
  t.after(() => log.close());
  const retention = createAuditRetention({ pool: log.pool });
  const erasures = createErasures({ pool: log.pool, sequencer: log.sequencer });
  const workspaceId = randomUUID();
  await log.owner(
    (sql) => sql`insert into x3sproxy.workspaces (id, name) values (${workspaceId}, 'kept')`,
  );
  const older = (days: number, below: number) =>
    log.owner(
      (sql) => sql`
        update x3sproxy.audit_events e set created_at = now() - ${days} * interval '1 day'
        from x3sproxy.audit_leaves l where l.event_id = e.id and l.workspace_id = ${workspaceId} and l.leaf_index < ${below}`,
    );
  const look = async () => {
    const report = verify(await log.exportOf(workspaceId), { key: log.keyOf(workspaceId) });
    const { verified, pruned, erased, findings } = report;
    return { verified, pruned, erased, findings };
  };
  const good = { verified: true, findings: [] };

  // Erased first, and then partly pruned: the list stays with the erasure's event. Times are part of a leaf, so that only what goes
  // may be made older.
  await log.makeEvents(workspaceId, 30);
  const by = actorIn(workspaceId);
  assert.deepEqual(await erasures.erase(by, "ada@example.com"), {
    ...{ parts: 20, waiting: 0, others: 0 },
  });
  assert.deepEqual(await look(), { ...good, pruned: 0, erased: 20 });
  await older(400, 15);
  assert.equal(await retention.prune(), 15);
  assert.deepEqual(await look(), { ...good, pruned: 15, erased: 10 });
  // All of it, the erasure and the first pruning too.
  await older(370, 33);
  assert.ok((await retention.prune()) >= 15);
  const { pruned, ...rest } = await look();
  assert.deepEqual(rest, { ...good, erased: 0 });
  assert.equal(pruned, 33);
  const lists = await log.owner((sql) => sql`select from x3sproxy.audit_erasures`);
  assert.equal(lists.length, 0, "a list goes with its erasure's event");

  // Without the pruning's event the same is damage.
  await log.owner(
    (sql) =>
      sql`delete from x3sproxy.audit_events where workspace_id = ${workspaceId} and action = 'audit.prune'`,
  );
  assert.equal((await look()).verified, false);
});
