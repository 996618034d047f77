// The sequencer: takes the events that wait, in the order of their ids, makes them leaves of their workspace's tree, and signs the
// new head. One process at a time does it, whichever gets the lock. Looks at the head that it goes on from, so that it never signs
// on top of a tree that somebody has edited. Must never hold up a change: events wait for it, and nobody else does.
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
import { toSealable, type KeptEventRow } from "./leaf.ts";
import {
  appendLeaves,
  lastCheckpoint,
  loadTree,
  TreeDamagedError,
  type KeptLeaf,
} from "./tree-store.ts";

export interface Sequencer {
  /** Seals what waits now, until `signal` says so; resolves to how many events. Rejects with StoreUnavailableError. */
  run(signal?: AbortSignal): Promise<number>;
  /** Whether a workspace's log was found edited, so that its events wait. */
  isDamaged(workspaceId: string): boolean;
  /** The same for one workspace. 0 while another process is at it. */
  seal(workspaceId: string): Promise<number>;
}

const BATCH = 500;

/** `pool`: of the control role. `signer`: the key of the service's logs. */
export function createSequencer(o: {
  pool: Pool;
  signer: LogSigner;
  log: Log;
  /** Told of a log whose head doesn't hold any more: its events wait. */
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
    const waiting = await sql<({ event_id: string } & Partial<KeptEventRow>)[]>`
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
    // By name: an event with a lower id may have been committed since.
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
      throw new TreeDamagedError("the audit has leaves that no checkpoint is of");
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
    // What is in the way of one log is not to hold up the others.
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

/** A row that is there already, where only the sequencer adds any, was put there by somebody else. */
function isDamage(error: unknown): boolean {
  if (error instanceof TreeDamagedError || error instanceof NoteError) return true;
  return isUniqueViolation(error);
}

function leafOf(
  workspaceId: string,
  row: { event_id: string } & Partial<KeptEventRow>,
  log: Log,
): KeptLeaf {
  if (row.id == null) {
    log.error("an event of the audit was gone before it was sealed", { workspaceId });
    const hash = leafHash(missingLeafData(workspaceId, row.event_id));
    const none = "0".repeat(64);
    return { eventId: row.event_id, hash, actor: none, target: none };
  }
  const { event, actor, target } = toSealable(row as KeptEventRow);
  const commitments = { actor: actorCommitment(actor), target: targetCommitment(target) };
  return { eventId: event.id, hash: leafHash(leafData(event, commitments)), ...commitments };
}
