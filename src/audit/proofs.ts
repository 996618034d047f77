// What others need to verify the audit: checkpoints, inclusion proofs, exports. Must record an export in the audit before its first byte
// is sent, and changes nothing else.
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../platform/clock.ts";
import type { Pool, TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import { errorFields, type Log } from "../platform/log.ts";
import type { AuditFilter } from "./event-search.ts";
import { exportBytes, filtersOf, type ExportFormat } from "./export.ts";
import { documentOf } from "./export-lines.ts";
import { countWaiting, readHead, readLeafOf } from "./exported-rows.ts";
import { consistencyRanges, inclusionRanges } from "./merkle.ts";
import { originOfLog, verifierKey, type LogSigner } from "./note.ts";
import { record, type Actor } from "./record.ts";
import type { Sequencer } from "./sequencer.ts";
import { rangeHashes, TreeDamagedError } from "./tree-store.ts";

export interface CheckpointView {
  readonly origin: string;
  readonly verifierKey: string;
  /** The signed note; null: nothing is sealed yet. */
  readonly checkpoint: string | null;
  /** The number of leaves of its tree. */
  readonly size: number;
  /** How many events are not sealed yet. */
  readonly waiting: number;
  /** The proof that the tree begins with the tree of `from` leaves (RFC 6962, 2.1.2). */
  readonly consistency: { readonly from: number; readonly proof: string[] } | null;
}

export interface EventProof {
  /** The event as an export has it, with its inclusion proof (RFC 6962, 2.1.1). */
  readonly event: Record<string, unknown>;
  readonly index: number;
  readonly size: number;
  readonly checkpoint: string;
  readonly verifierKey: string;
}

export interface AuditProofs {
  /** Rejects with RequestError: 422 `size_unknown` when the log is smaller than `from`, `audit_damaged`. */
  checkpoint(workspaceId: string, from?: number): Promise<CheckpointView>;
  /** Rejects with RequestError: `event_not_found`, `event_not_sealed`, `audit_damaged`. */
  proof(workspaceId: string, eventId: string): Promise<EventProof>;
  /** Records the export, then streams its bytes. The stream fails when the rest can't be read. */
  export(actor: Actor, format: ExportFormat, filter: AuditFilter): Promise<AuditExport>;
}

export interface AuditExport {
  readonly at: Date;
  readonly bytes: AsyncIterable<Buffer>;
}

const SEALING_MS = 2000;
const SEALING_POLL_MS = 50;

/** `pool`: of the control role. `sequencer`: seals pending events before an export. */
export function createAuditProofs(o: {
  pool: Pool;
  signer: LogSigner;
  sequencer: Pick<Sequencer, "run" | "isDamaged">;
  clock: Clock;
  log: Log;
}): AuditProofs {
  const { pool, signer, sequencer, clock, log } = o;
  const keyOf = (workspaceId: string) => verifierKey(originOfLog(workspaceId), signer.publicKey);

  /** Waits until an event is sealed, for at most two seconds, or until the tree is found damaged. */
  async function sealed(workspaceId: string, eventId: string): Promise<void> {
    const untilMs = clock.monotonicMs() + SEALING_MS;
    for (;;) {
      // If sealing fails, the export is made all the same, and shows why.
      const run = sequencer.run().catch((error: unknown) => {
        log.warn("the audit's events can't be sealed", { workspaceId, ...errorFields(error) });
      });
      // With many pending events a run may take too long to wait for.
      const leftMs = Math.max(0, untilMs - clock.monotonicMs());
      await Promise.race([run, sleep(leftMs, undefined, { ref: false })]);
      const [waiting] = await pool.inWorkspace(
        workspaceId,
        (sql) =>
          sql`select from x3sproxy.audit_pending where workspace_id = ${workspaceId} and event_id = ${eventId}::bigint`,
      );
      const isHopeless = sequencer.isDamaged(workspaceId) || clock.monotonicMs() >= untilMs;
      if (waiting === undefined || isHopeless) return;
      await sleep(SEALING_POLL_MS);
    }
  }

  return {
    checkpoint: (workspaceId, from) =>
      pool.inWorkspace(workspaceId, async (sql) => {
        const { checkpoint } = await readHead(sql, workspaceId);
        const waiting = await countWaiting(sql, workspaceId);
        const size = checkpoint?.size ?? 0;
        if (from !== undefined && from > size) {
          throw new RequestError(422, "size_unknown", `The log has ${size} leaves: give fewer.`);
        }
        return {
          origin: originOfLog(workspaceId),
          verifierKey: keyOf(workspaceId),
          checkpoint: checkpoint?.note ?? null,
          size,
          waiting,
          consistency:
            from === undefined
              ? null
              : { from, proof: await proofOf(sql, workspaceId, consistencyRanges(from, size)) },
        };
      }),

    proof: (workspaceId, eventId) =>
      pool.inWorkspace(workspaceId, async (sql) => {
        const line = await readLeafOf(sql, workspaceId, eventId);
        const { checkpoint } = await readHead(sql, workspaceId);
        if (line === undefined) {
          const [waiting] = await sql`
            select from x3sproxy.audit_events where workspace_id = ${workspaceId} and id = ${eventId}::bigint`;
          throw waiting === undefined
            ? new RequestError(404, "event_not_found", "There is no such event.")
            : new RequestError(
                409,
                "event_not_sealed",
                "The event isn't sealed yet. That takes about a second: try again.",
              );
        }
        const { index } = line;
        if (checkpoint === undefined || index >= checkpoint.size) throw damaged();
        const { size, note } = checkpoint;
        const proof = await proofOf(sql, workspaceId, inclusionRanges(index, size));
        const event = { ...documentOf(line), proof };
        return { event, index, size, checkpoint: note, verifierKey: keyOf(workspaceId) };
      }),

    async export(actor, format, filter) {
      const { workspaceId } = actor;
      const names = Object.entries(filtersOf(filter)).flatMap(([name, value]) =>
        value === undefined ? [] : [name],
      );
      const target = { kind: "audit", id: workspaceId, name: "audit" };
      const detail = { format, filters: names.join(",") };
      const eventId = await pool.inWorkspace(workspaceId, async (sql) => {
        await record(sql, actor, { action: "audit.export", target, detail });
        // The event just recorded has the time of this transaction.
        const [row] = await sql<[{ id: string }]>`
          select max(id)::text as id from x3sproxy.audit_events
          where workspace_id = ${workspaceId} and created_at = now()`;
        return row.id;
      });
      await sealed(workspaceId, eventId);
      const head = await pool.inWorkspace(workspaceId, (sql) => readHead(sql, workspaceId));
      const at = new Date(clock.nowMs());
      const seal = async (): Promise<void> => {
        const id = await lastEvent(pool, workspaceId);
        if (id !== null) await sealed(workspaceId, id);
      };
      const isDamaged = (): boolean => sequencer.isDamaged(workspaceId);
      const source = { pool, signer, workspaceId, filter, at, seal, isDamaged };
      return { at, bytes: logged(exportBytes(source, format, head), log, workspaceId) };
    },
  };
}

async function lastEvent(pool: Pool, workspaceId: string): Promise<string | null> {
  const [row] = await pool.inWorkspace(
    workspaceId,
    (sql) => sql<[{ id: string | null }]>`
      select max(event_id)::text as id from x3sproxy.audit_pending where workspace_id = ${workspaceId}`,
  );
  return row.id;
}

async function proofOf(
  sql: TransactionSql,
  workspaceId: string,
  ranges: Parameters<typeof rangeHashes>[2],
): Promise<string[]> {
  try {
    const hashes = await rangeHashes(sql, workspaceId, ranges);
    return hashes.map((hash) => hash.toString("base64"));
  } catch (error) {
    throw error instanceof TreeDamagedError ? damaged() : error;
  }
}

async function* logged(
  bytes: AsyncIterable<Buffer>,
  log: Log,
  workspaceId: string,
): AsyncGenerator<Buffer> {
  try {
    yield* bytes;
  } catch (error) {
    log.error("an export of the audit broke off", { workspaceId, ...errorFields(error) });
    throw error instanceof TreeDamagedError ? damaged() : error;
  }
}

function damaged(): RequestError {
  return new RequestError(
    409,
    "audit_damaged",
    "The audit's tree isn't whole any more. x3sproxy audit verify says what is wrong with it.",
  );
}
