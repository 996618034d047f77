// The sequencer seals events: it appends pending events, in the order of their ids, to the tree of their workspace, and signs the new
// head. The process that gets the lock does it. It first verifies the last head, and must never sign a tree that was edited. Must never
// delay a change: events wait to be sealed, requests don't.
import { isUniqueViolation, LOCK, type Pool, type TransactionSql } from "../db/index.ts";
import { StoreUnavailableError } from "../platform/errors.ts";
import { errorFields, type Log } from "../platform/log.ts";
import { actorCommitment, leafData, missingLeafData, targetCommitment } from "./leaf.ts";
import { leafHash } from "./merkle.ts";
import {
  NoteError,
  openCheckpoint,
  originOfLog,
  signCheckpoint,
  verifierKey,
  type LogSigner,
} from "./note.ts";
import { toSealable, type StoredEvent } from "./leaf.ts";
import {
  appendLeaves,
  lastCheckpoint,
  loadTree,
  TreeDamagedError,
  type NewLeaf,
} from "./tree-store.ts";

export interface Sequencer {
  /** Seals the pending events of all workspaces until `signal` aborts; resolves to their number. Rejects with StoreUnavailableError. */
  run(signal?: AbortSignal): Promise<number>;
  /** Seals the pending events of one workspace. Resolves to 0 while another process has the lock. */
  seal(workspaceId: string): Promise<number>;
  /** Whether the workspace's tree was found edited. Its events then stay pending. */
  isDamaged(workspaceId: string): boolean;
}

const BATCH = 500;

/** `pool`: of the control role. `signer`: the key of the service's logs. */
export function createSequencer(o: {
  pool: Pool;
  signer: LogSigner;
  log: Log;
  /** Called when a workspace's last head does not verify. Its events then stay pending. */
  onDamaged?: () => void;
}): Sequencer {
  const { pool, signer, log } = o;
  const damaged = new Set<string>();
  let running: Promise<number> | undefined;

  async function sealWorkspace(workspaceId: string): Promise<number> {
    let total = 0;
    for (;;) {
      const count = await pool.inWorkspace(workspaceId, (sql) => sealBatch(sql, workspaceId));
      total += count;
      if (count < BATCH) return total;
    }
  }

  async function sealBatch(sql: TransactionSql, workspaceId: string): Promise<number> {
    const [lock] = await sql<
      [{ mine: boolean }]
    >`select pg_try_advisory_xact_lock(${LOCK.auditSealing}) as mine`;
    if (!lock.mine) return 0;
    const waiting = await sql<({ event_id: string } & Partial<StoredEvent>)[]>`
      select p.event_id, e.*, to_char(e.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at
      from x3sproxy.audit_pending p
      left join lateral (select * from x3sproxy.audit_events where id = p.event_id limit 1) e on true
      where p.workspace_id = ${workspaceId} order by p.event_id limit ${BATCH}`;
    if (waiting.length === 0) return 0;
    const tree = await headOf(sql, workspaceId);
    const leaves = waiting.map((row) => leafOf(workspaceId, row, log));
    await appendLeaves(sql, workspaceId, tree, leaves);
    const origin = originOfLog(workspaceId);
    const note = signCheckpoint({ origin, size: tree.size, root: tree.root() }, signer);
    await sql`
      insert into x3sproxy.audit_checkpoints (workspace_id, size, note)
      values (${workspaceId}, ${tree.size}, ${note})`;
    // Delete by id: an event with a lower id may have been committed since the read.
    await sql`
      delete from x3sproxy.audit_pending
      where workspace_id = ${workspaceId} and event_id = any (${`{${waiting.map((row) => row.event_id).join(",")}}`}::bigint[])`;
    return leaves.length;
  }

  async function headOf(sql: TransactionSql, workspaceId: string) {
    const last = await lastCheckpoint(sql, workspaceId);
    const tree = await loadTree(sql, workspaceId, last?.size ?? 0);
    const [beyond] = await sql`
      select from x3sproxy.audit_leaves
      where workspace_id = ${workspaceId} and leaf_index >= ${tree.size} limit 1`;
    if (beyond !== undefined) {
      throw new TreeDamagedError("the audit has leaves that no checkpoint covers");
    }
    if (last === undefined) return tree;
    const origin = originOfLog(workspaceId);
    const checkpoint = openCheckpoint(last.note, verifierKey(origin, signer.publicKey));
    if (
      checkpoint.origin !== origin ||
      checkpoint.size !== last.size ||
      !checkpoint.root.equals(tree.root())
    ) {
      throw new TreeDamagedError("the audit's tree isn't the one that was signed last");
    }
    return tree;
  }

  async function run(signal?: AbortSignal): Promise<number> {
    const rows = await pool.query(
      (sql) => sql<{ id: string }[]>`select x3sproxy.unsealed_workspaces() as id`,
    );
    let total = 0;
    // A failure in one workspace must not delay the others.
    const failures: unknown[] = [];
    for (const { id } of rows) {
      if (signal?.aborted === true) break;
      try {
        total += await seal(id);
      } catch (error) {
        failures.push(error);
        if (error instanceof StoreUnavailableError) break;
      }
    }
    if (failures.length > 0) throw failures[0];
    return total;
  }

  async function seal(workspaceId: string): Promise<number> {
    try {
      const count = await sealWorkspace(workspaceId);
      if (damaged.delete(workspaceId)) log.warn("the audit is sealed again", { workspaceId });
      return count;
    } catch (error) {
      if (!isDamage(error)) throw error;
      if (!damaged.has(workspaceId))
        log.error("the audit can't be sealed", { workspaceId, ...errorFields(error) });
      damaged.add(workspaceId);
      o.onDamaged?.();
      return 0;
    }
  }

  return {
    run: (signal) => (running ??= run(signal).finally(() => (running = undefined))),
    isDamaged: (workspaceId) => damaged.has(workspaceId),
    seal,
  };
}

/** A unique violation is damage, too: only the sequencer adds these rows, so somebody else added the existing one. */
function isDamage(error: unknown): boolean {
  if (error instanceof TreeDamagedError || error instanceof NoteError) return true;
  return isUniqueViolation(error);
}

function leafOf(
  workspaceId: string,
  row: { event_id: string } & Partial<StoredEvent>,
  log: Log,
): NewLeaf {
  if (row.id == null) {
    log.error("an event of the audit was gone before it was sealed", { workspaceId });
    const hash = leafHash(missingLeafData(workspaceId, row.event_id));
    const none = "0".repeat(64);
    return { eventId: row.event_id, hash, actor: none, target: none };
  }
  const { event, actor, target } = toSealable(row as StoredEvent);
  const commitments = { actor: actorCommitment(actor), target: targetCommitment(target) };
  return { eventId: event.id, hash: leafHash(leafData(event, commitments)), ...commitments };
}
