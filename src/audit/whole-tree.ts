// Verifies the whole tree of a workspace in the database, for example after a restore: each event against its leaf, the leaves against
// the last checkpoint, and its signature. Reads only, in constant memory. Must not judge why an event is absent.
import type { TransactionSql } from "../db/index.ts";
import type { StoredEvent } from "./leaf.ts";
import { toEvent } from "./leaf.ts";
import { actorCommitment, leafData, targetCommitment } from "./leaf.ts";
import { GrowingTree, leafHash } from "./merkle.ts";
import { NoteError, openCheckpoint, originOfLog, verifierKey } from "./note.ts";
import { lastCheckpoint } from "./tree-store.ts";

export interface TreeState {
  /** The number of leaves. */
  readonly size: number;
  /** How many leaves have the event that was sealed. */
  readonly events: number;
  /** The first problem, as a sentence; undefined: the tree verifies. */
  readonly problem: string | undefined;
}

const BATCH = 1000;

type Row = { leaf_index: string; leaf_hash: Buffer; actor: Buffer; target: Buffer } & {
  id: string | null;
} & Partial<Omit<StoredEvent, "id">>;

/** `sql`: a transaction that sees the whole workspace in one snapshot. `publicKey`: of the service's logs. */
export async function verifyTree(
  sql: TransactionSql,
  workspaceId: string,
  publicKey: Uint8Array,
): Promise<TreeState> {
  const tree = new GrowingTree();
  let events = 0;
  let problem: string | undefined;
  const rows = sql<Row[]>`
    select l.leaf_index, l.leaf_hash, l.actor_commitment as actor, l.target_commitment as target, e.*,
      to_char(e.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at
    from x3sproxy.audit_leaves l left join x3sproxy.audit_events e on e.id = l.event_id
    where l.workspace_id = ${workspaceId} order by l.leaf_index`;
  for await (const batch of rows.cursor(BATCH)) {
    for (const row of batch) {
      if (row.leaf_index !== String(tree.size)) problem ??= `leaf ${tree.size} is missing`;
      tree.append(row.leaf_hash);
      if (row.id === null) continue;
      if (hashOf(row as StoredEvent & Row).equals(row.leaf_hash)) events += 1;
      else problem ??= `the event ${row.id} isn't the one that was sealed`;
    }
  }
  problem ??= headProblem(
    await lastCheckpoint(sql, workspaceId),
    tree,
    verifierKey(originOfLog(workspaceId), publicKey),
  );
  return { size: tree.size, events, problem };
}

function hashOf(row: StoredEvent & Row): Buffer {
  // A part without its salt was erased. Its stored commitment takes its place.
  const actor =
    row.actor_salt === null
      ? row.actor.toString("hex")
      : actorCommitment({
          salt: row.actor_salt,
          id: row.actor_id,
          name: row.actor_name,
          address: row.address,
        });
  const target =
    row.target_salt === null
      ? row.target.toString("hex")
      : targetCommitment({ salt: row.target_salt, id: row.target_id, name: row.target_name });
  return leafHash(leafData(toEvent(row), { actor, target }));
}

function headProblem(
  last: { size: number; note: string } | undefined,
  tree: GrowingTree,
  verifier: string,
): string | undefined {
  if (last === undefined) return tree.size === 0 ? undefined : "there are leaves and no checkpoint";
  try {
    const { size, root } = openCheckpoint(last.note, verifier);
    if (size !== tree.size || !root.equals(tree.root())) {
      return "the tree isn't the one of the last checkpoint";
    }
    return undefined;
  } catch (error) {
    if (error instanceof NoteError) return error.message;
    throw error;
  }
}
