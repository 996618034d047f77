// Makes backups for owners of the home workspace, one at a time. Must record each in the audit before its first byte is sent, and must
// never have the key to open one: it seals to public keys of the caller.
import { Readable } from "node:stream";
import { record, type Actor, type ChangeEvent } from "../audit/index.ts";
import type { Clock } from "../platform/clock.ts";
import { withOwner, type Pool, type Sql, type TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import { newId } from "../platform/ids.ts";
import { errorFields, logEnd, type Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { isRecipient, sealStream } from "./sealing.ts";
import { busy, readSnapshot, type SnapshotOptions } from "./snapshot.ts";

export interface Backup {
  readonly id: string;
  /** ISO 8601. */
  readonly createdAt: string;
  /** Sealed in the age format. Fails when anything goes wrong; an incomplete backup does not open to its end. */
  readonly stream: Readable;
}

export interface Backups {
  /**
   * Starts a backup, sealed to `recipients` (public keys of age). Throws RequestError: 403 `home_workspace_only`, 422
   * `recipient_invalid`, 503 `busy`. Rejects with StoreUnavailableError.
   */
  create(by: Actor, recipients: readonly string[]): Promise<Backup>;
  /** Aborts a running backup. */
  close(): Promise<void>;
}

// While a snapshot is open, Postgres can't vacuum rows that were deleted since.
const WITHIN_MS = 2 * 60 * 60 * 1000;
const STALL_MS = 60_000;

/** `pool`: of the control role. `ownerUrl`: the database as its owner role, for the snapshot. */
export function createBackups(o: {
  pool: Pool;
  ownerUrl: string;
  clock: Clock;
  log: Log;
  metrics: Pick<Metrics, "lastBackup">;
  /** How long the reader may stall. */
  stallMs?: number;
}): Backups {
  const { pool, ownerUrl, clock, log, metrics, stallMs = STALL_MS } = o;
  let underWay: { ended: Promise<unknown>; giveUp: AbortController } | undefined;
  let closed = false;

  // If this fails, the gauge stays unset until the next backup.
  const lastKnown = withOwner(ownerUrl, lastBackupAt).then((at) =>
    metrics.lastBackup.set((at?.getTime() ?? 0) / 1000),
  );
  logEnd(lastKnown, log, "the time of the last backup can't be read");

  /** Starts to read a snapshot into a stream. Rejects when the snapshot can't be taken. */
  async function begin(by: Actor, recipients: readonly string[], signal: AbortSignal) {
    const id = newId();
    const event = (result: string, detail?: ChangeEvent["detail"]): ChangeEvent => ({
      action: "backup.create",
      target: { kind: "backup", id, name: id },
      result,
      detail,
    });
    const write = (result: string, detail?: ChangeEvent["detail"]): Promise<void> =>
      pool.inWorkspace(by.workspaceId, (sql) => record(sql, by, event(result, detail)));
    let isRecorded = false;
    const pipe = createPipe();
    const began = Promise.withResolvers<string>();
    const isRead = Promise.withResolvers<boolean>();
    const snapshot: SnapshotOptions = {
      ...{ ownerUrl, id, signal },
      async beforeBegin() {
        await pool.inWorkspace(by.workspaceId, async (sql) => {
          await refuseElsewhere(sql);
          await record(sql, by, event("begun", { recipients: recipients.length }));
        });
        isRecorded = true;
      },
      onBegin: ({ createdAt }) => began.resolve(createdAt),
      write: (piece) => withinStall(pipe.write(piece), stallMs),
      beforeEnd: (summary) => write("done", summary),
    };
    const brokeOff = async (error: unknown): Promise<void> => {
      log.warn("a backup broke off", { backupId: id, ...errorFields(error) });
      await write("broken_off").catch(() => undefined);
    };
    const read = async (): Promise<void> => {
      try {
        await readSnapshot(snapshot);
        pipe.end();
        isRead.resolve(true);
      } catch (error) {
        began.reject(error);
        pipe.fail(error);
        if (isRecorded) await brokeOff(error);
        isRead.resolve(false);
      }
    };
    logEnd(read(), log, "a backup broke off");
    const createdAt = await began.promise;
    return { id, createdAt, isRead: isRead.promise, brokeOff, plain: pipe.readable };
  }

  return {
    async create(by, recipients) {
      if (!recipients.every(isRecipient)) {
        throw new RequestError(
          422,
          "recipient_invalid",
          "recipients: give public keys of age, as in age1… (age-keygen prints one).",
        );
      }
      if (closed || underWay !== undefined) throw busy();
      const giveUp = new AbortController();
      const timer = setTimeout(
        () => giveUp.abort(new Error("the backup took too long")),
        WITHIN_MS,
      );
      const slot = Promise.withResolvers<undefined>();
      underWay = { ended: slot.promise, giveUp };
      const release = (): void => {
        clearTimeout(timer);
        underWay = undefined;
        slot.resolve(undefined);
      };
      try {
        const begun = await begin(by, recipients, giveUp.signal);
        const { id, createdAt, isRead, plain } = begun;
        logEnd(isRead.then(release), log, "a backup broke off");
        const sealed = await sealStream(plain, { recipients });
        const stream = Readable.fromWeb(sealed as Parameters<typeof Readable.fromWeb>[0]);
        // An error may come before anyone listens.
        stream.on("error", () => undefined);
        stream.once("close", () => {
          const left = new Error("the reader of the backup has left");
          // Stop reading the database at once, instead of at the next stalled write.
          giveUp.abort(left);
          const isTaken = stream.readableEnded;
          const settled = isRead.then(async (isWhole) => {
            if (isWhole && isTaken) metrics.lastBackup.set(clock.nowMs() / 1000);
            else if (isWhole) await begun.brokeOff(left);
          });
          logEnd(settled, log, "a backup broke off");
        });
        // A reader that has stalled would never reach the error at the end of the stream.
        const watched = isRead.then((isWhole) => {
          if (!isWhole) stream.destroy(new Error("it broke off"));
        });
        logEnd(watched, log, "a backup broke off");
        return { id, createdAt, stream };
      } catch (error) {
        giveUp.abort(error);
        release();
        throw error;
      }
    },
    async close() {
      closed = true;
      const current = underWay;
      current?.giveUp.abort(new Error("the service stops"));
      await current?.ended;
    },
  };
}

/** The time of the last complete backup. `sql`: of the owner role. */
export async function lastBackupAt(sql: Sql): Promise<Date | undefined> {
  const [row] = await sql<{ at: Date }[]>`
    select done.created_at as at from x3sproxy.audit_events done
    where done.workspace_id = (select id from x3sproxy.workspaces where home)
      and done.action = 'backup.create' and done.result = 'done' and not exists (
        select from x3sproxy.audit_events lost
        where lost.workspace_id = done.workspace_id and lost.target_id = done.target_id and lost.id > done.id
          and lost.action = 'backup.create' and lost.result = 'broken_off')
    order by done.created_at desc, done.id desc limit 1`;
  return row?.at;
}

async function refuseElsewhere(sql: TransactionSql): Promise<void> {
  // Row-level security shows the transaction's own workspace only.
  if ((await sql`select from x3sproxy.workspaces where home`).count > 0) return;
  throw new RequestError(
    403,
    "home_workspace_only",
    "Only owners of the installation's home workspace can do this.",
  );
}

async function withinStall<T>(work: Promise<T>, stallMs: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error("the reader of the backup stands still")),
    stallMs,
  );
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A stream with a writing and a reading side. Unlike the platform's TransformStream it can be aborted at any time, also while a write
 * waits for a stalled reader.
 */
interface Pipe {
  readonly readable: ReadableStream<Uint8Array>;
  /** Resolves when the reader is ready for more. Rejects when it has left. */
  write(piece: Uint8Array): Promise<void>;
  end(): void;
  /** Aborts the stream. The reader gets `error`. */
  fail(error: unknown): void;
}

function createPipe(): Pipe {
  const state = { room: Promise.withResolvers<undefined>(), isOver: false };
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const readable = new ReadableStream<Uint8Array>(
    {
      start: (given) => void (controller = given),
      pull: () => state.room.resolve(undefined),
      cancel() {
        state.isOver = true;
        state.room.reject(new Error("the reader has left"));
      },
    },
    { highWaterMark: 1 },
  );
  state.room.promise.catch(() => undefined);
  return {
    readable,
    async write(piece) {
      await state.room.promise;
      state.room = Promise.withResolvers<undefined>();
      state.room.promise.catch(() => undefined);
      controller?.enqueue(piece);
    },
    end() {
      if (!state.isOver) controller?.close();
      state.isOver = true;
    },
    fail(error) {
      if (!state.isOver) controller?.error(error);
      state.isOver = true;
      state.room.reject(error);
    },
  };
}
