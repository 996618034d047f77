import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import test from "node:test";
import { openSealedLog, verify, writeEvents } from "../audit/sealed-log.ts";

/** Two logs, the first of which is always sealed before the second. */
function twoLogs(): [string, string] {
  const [first, second] = [randomUUID(), randomUUID()].sort();
  assert.ok(first !== undefined && second !== undefined);
  return [first, second];
}

test("with a row in the way of one log's tree the others are sealed, and that one is told of", async (t) => {
  const log = await openSealedLog();
  t.after(() => log.close());
  const [first, second] = twoLogs();
  await log.makeEvents(first, 255);
  // As the control login can put it there.
  await log.pool.inWorkspace(
    first,
    (sql) => sql`insert into x3sproxy.audit_nodes values (${first}, 8, 0, ${randomBytes(32)})`,
  );
  for (const id of [first, second]) {
    await log.pool.inWorkspace(id, (sql) => writeEvents(sql, id, 1));
  }
  await log.seal();
  assert.equal(log.sequencer.isDamaged(first), true);
  assert.equal(log.sequencer.isDamaged(second), false);
  assert.deepEqual(verify(await log.exportOf(second)).findings, []);
  // What waits isn't in an export, and an export that doesn't say so would look whole.
  const { verified, findings } = verify(await log.exportOf(first));
  assert.ok(!verified);
  assert.match(findings[0]?.what ?? "", /2 events wait, and can't be sealed/);
  // With the row gone it goes on by itself.
  await log.owner((sql) => sql`delete from x3sproxy.audit_nodes where workspace_id = ${first}`);
  await log.seal();
  assert.equal(log.sequencer.isDamaged(first), false);
  assert.deepEqual(verify(await log.exportOf(first)).findings, []);
});

test("whatever else one log fails with, the others are sealed", async (t) => {
  const log = await openSealedLog();
  t.after(() => log.close());
  const [first, second] = twoLogs();
  for (const id of [first, second]) {
    await log.pool.inWorkspace(id, (sql) => writeEvents(sql, id, 1));
  }
  await log.owner((sql) =>
    sql.unsafe(`alter table x3sproxy.audit_leaves add check (workspace_id <> '${first}')`),
  );
  await assert.rejects(log.seal(), { code: "23514" });
  assert.equal((await log.proofs.checkpoint(second)).size, 1);
});
