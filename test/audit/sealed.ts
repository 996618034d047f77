// Checks that the whole audit of a database is sealed, by computing each tree again from the rows.
import assert from "node:assert/strict";
import { actorCommitment, leafData, targetCommitment } from "../../src/audit/leaf.ts";
import { toSealable, type StoredEvent } from "../../src/audit/leaf.ts";
import { GrowingTree, leafHash } from "../../src/audit/merkle.ts";
import { openCheckpoint, originOfLog, verifierKey } from "../../src/audit/note.ts";
import { withOwner } from "../../src/db/connection.ts";

/** Fails unless all events of each workspace are the leaves of its last signed tree. Resolves to the number of events. */
export function assertSealed(ownerUrl: string, publicKey: Uint8Array): Promise<number> {
  return withOwner(ownerUrl, async (sql) => {
    const workspaces = await sql<{ id: string }[]>`
      select distinct workspace_id as id from x3sproxy.audit_events`;
    let total = 0;
    for (const { id } of workspaces) {
      const rows = await sql<(StoredEvent & { leaf_index: string | null })[]>`
        select e.*, to_char(e.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at, l.leaf_index
        from x3sproxy.audit_events e left join x3sproxy.audit_leaves l on l.event_id = e.id
        where e.workspace_id = ${id} order by l.leaf_index`;
      const tree = new GrowingTree();
      for (const row of rows) {
        assert.equal(row.leaf_index, String(tree.size), `event ${row.id} is where it was sealed`);
        const { event, actor, target } = toSealable(row);
        const commitments = { actor: actorCommitment(actor), target: targetCommitment(target) };
        tree.append(leafHash(leafData(event, commitments)));
      }
      const [last] = await sql<{ note: string; size: string }[]>`
        select note, size from x3sproxy.audit_checkpoints where workspace_id = ${id} order by size desc limit 1`;
      assert.ok(last);
      const origin = originOfLog(id);
      const { size, root } = openCheckpoint(last.note, verifierKey(origin, publicKey));
      assert.equal(size, rows.length);
      assert.ok(root.equals(tree.root()), "the signed root is that of the rows");
      total += rows.length;
    }
    return total;
  });
}
