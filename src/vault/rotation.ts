// Changes the master key while the service runs. Every two seconds each process reports which keys it holds, and learns which one is
// active. While values are sealed under other keys, one process at a time unwraps their data keys and wraps them again, a few rows a
// transaction. So a process that is killed leaves only rows that open, and another one continues. It opens a connection of the owner
// role only for that work, since no other role may change a sealed value. Must never log what it opens.
import { setTimeout as delay } from "node:timers/promises";
import { record, serviceActor } from "../audit/index.ts";
import type { Clock } from "../platform/clock.ts";
import { createPool, LOCK, type Pool, type TransactionSql } from "../db/index.ts";
import { SealError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import type { KeyRing } from "./master-key.ts";
import { rewrap } from "./sealing.ts";
import {
  lockRows,
  SEALED_TABLES,
  replaceValue,
  type KeyColumns,
  type SealedTable,
} from "./sealed-tables.ts";

export interface KeyRotation {
  /**
   * Reports once, and then rewraps all that is left, until `signal` aborts. Call it every two seconds. Rejects with
   * StoreUnavailableError.
   */
  run(signal?: AbortSignal): Promise<void>;
  /** Ends after the current transaction, and removes this process from the database's list. */
  close(): Promise<void>;
}

/** How far a round has come in a table: the master key whose rows it reads, and the last row read. */
interface Position {
  readonly keyId: string;
  readonly after: KeyColumns | undefined;
}

const BATCH_ROWS = 50;
const PAUSE_MS = 20;
// Longer than a pool's deadline: by then every transaction that began with the earlier key has ended.
const SETTLED_MS = 6000;
// The pause after a round that found only rows which don't open.
const RETRY_UNREADABLE_MS = 60_000;
const MAX_LOGGED_ROWS = 100;

/** `pool`: of the control role. `homeId`: the home workspace, whose audit records the rotation. */
export function createKeyRotation(o: {
  pool: Pool;
  ownerUrl: string;
  ring: KeyRing;
  processId: string;
  homeId: string;
  clock: Clock;
  log: Log;
}): KeyRotation {
  const { pool, ring, processId, clock, log } = o;
  const actor = serviceActor(o.homeId);
  let running: Promise<void> | undefined;
  let closed = false;
  let reported = { key: ring.active.id, changedAtMs: Number.NEGATIVE_INFINITY };
  let lastActive = ring.active.id;
  let missing: string | undefined;
  let notBeforeMs = Number.NEGATIVE_INFINITY;
  const unreadable = new Set<string>();

  /** The key with which this process seals, once nothing sealed under an earlier key can still be committed. */
  function settledKey(): string {
    const nowMs = clock.monotonicMs();
    if (ring.active.id !== lastActive) {
      lastActive = ring.active.id;
      reported = { ...reported, changedAtMs: nowMs };
    }
    if (nowMs - reported.changedAtMs >= SETTLED_MS) reported = { ...reported, key: lastActive };
    return reported.key;
  }

  /** Whether there is something to rewrap. */
  async function report(): Promise<boolean> {
    const settled = settledKey();
    const [state] = await pool.query(
      (sql) => sql<{ active_key: string; rotating: boolean }[]>`
        select active_key, rotating from x3sproxy.report_keys(${processId}, ${ring.ids}, ${settled})`,
    );
    if (state === undefined) return false;
    const active = state.active_key;
    if (active !== ring.active.id && ring.activate(active)) {
      log.info("another master key is active", { masterKey: active });
      notBeforeMs = Number.NEGATIVE_INFINITY;
    }
    if (ring.active.id !== active) {
      if (missing !== active)
        log.error("the active master key is missing here", { masterKey: active });
      missing = active;
      return false;
    }
    missing = undefined;
    return state.rotating;
  }

  /** Rewraps batch by batch until no rows are left, or another process has the lock. */
  async function rewrapAll(signal?: AbortSignal): Promise<void> {
    const owner = createPool(o.ownerUrl, { max: 1 });
    try {
      let skipped = 0;
      let rewrapped = 0;
      for (const table of SEALED_TABLES) {
        let at: Position | undefined = { keyId: "", after: undefined };
        while (at !== undefined) {
          const batch = await rewrapBatch(owner, table, at);
          if (batch === "not_ours" || closed || signal?.aborted === true) return;
          skipped += batch.skipped;
          rewrapped += batch.rewrapped;
          at = batch.next;
          await delay(PAUSE_MS);
        }
      }
      if (rewrapped > 0)
        log.info("rewrapped data keys", { count: rewrapped, masterKey: ring.active.id });
      if (skipped > 0 && rewrapped === 0) notBeforeMs = clock.monotonicMs() + RETRY_UNREADABLE_MS;
      await finish(owner, skipped);
    } finally {
      await owner.close();
    }
  }

  function rewrapBatch(
    owner: Pool,
    table: SealedTable,
    at: Position,
  ): Promise<{ rewrapped: number; skipped: number; next: Position | undefined } | "not_ours"> {
    return withLock(owner, async (sql, oldIds) => {
      const { id } = ring.active;
      const keyId = oldIds.find((each) => each >= at.keyId);
      if (keyId === undefined) return { rewrapped: 0, skipped: 0, next: undefined };
      const after = keyId === at.keyId ? at.after : undefined;
      const rows = await lockRows(sql, table, { keyId, after, limit: BATCH_ROWS });
      let skipped = 0;
      for (const row of rows) {
        try {
          await replaceValue(sql, table, row, rewrap(ring, row.binding, row));
        } catch (error) {
          if (!(error instanceof SealError)) throw error;
          skipped += 1;
          logUnreadable(error);
        }
      }
      const rewrapped = rows.length - skipped;
      if (rewrapped > 0) {
        await sql`update x3sproxy.master_keys set rewrapped = rewrapped + ${rewrapped} where key_id = ${id} and active`;
      }
      const last = rows.length < BATCH_ROWS ? undefined : rows.at(-1)?.columns;
      const nextKeyId = last === undefined ? oldIds.find((each) => each > keyId) : keyId;
      const next = nextKeyId === undefined ? undefined : { keyId: nextKeyId, after: last };
      return { rewrapped, skipped, next };
    });
  }

  /** Logs each row once. */
  function logUnreadable(error: SealError): void {
    if (unreadable.has(error.message) || unreadable.size >= MAX_LOGGED_ROWS) return;
    unreadable.add(error.message);
    // The message is ours: it names the row and shows nothing of its content.
    log.error("a sealed value can't be rewrapped", { row: error.message });
  }

  /** Records the end of the rotation once no value is left under other keys and no process seals under one. */
  async function finish(owner: Pool, skipped: number): Promise<void> {
    await withLock(owner, async (sql, oldIds) => {
      const { id } = ring.active;
      await sql`
        update x3sproxy.master_keys set unreadable = ${skipped} where key_id = ${id} and active and unreadable <> ${skipped}`;
      for (const { name } of SEALED_TABLES) {
        const left = await sql`
          select from ${sql(`x3sproxy.${name}`)} where key_id = any (${oldIds}) limit 1`;
        if (left.length > 0) return;
      }
      const outdated = await sql`
        select from x3sproxy.process_keys
        where seen_at > now() - interval '1 minute' and seals_with <> ${id} limit 1`;
      if (outdated.length > 0) return;
      const [done] = await sql<{ rewrapped: number }[]>`
        update x3sproxy.master_keys set rotated_at = now() where key_id = ${id} and active and rotated_at is null
        returning rewrapped::float8 as rewrapped`;
      if (done === undefined) return;
      const { rewrapped } = done;
      const target = { kind: "master_key", id, name: id };
      await record(sql, actor, { action: "master_key.rotate", target, detail: { rewrapped } });
      log.info("everything is sealed under the active master key", { masterKey: id, rewrapped });
    });
  }

  /** Runs `work` in a transaction, if this process gets the rotation's advisory lock. `oldIds`: the keys that are not active. */
  function withLock<T>(
    owner: Pool,
    work: (sql: TransactionSql, oldIds: string[]) => Promise<T>,
  ): Promise<T | "not_ours"> {
    return owner.transaction(async (sql) => {
      const [lock] = await sql<[{ mine: boolean }]>`
        select pg_try_advisory_xact_lock(${LOCK.masterKeyRotation}) as mine`;
      if (!lock.mine) return "not_ours";
      const keys = await sql<{ id: string; active: boolean }[]>`
        select key_id as id, active from x3sproxy.master_keys`;
      // Another key was made active since then. The next report says which.
      if (!keys.some(({ id, active }) => active && id === ring.active.id)) return "not_ours";
      const oldIds = keys.flatMap(({ id, active }) => (active ? [] : [id])).sort();
      return work(sql, oldIds);
    });
  }

  async function run(signal?: AbortSignal): Promise<void> {
    const rotating = await report();
    if (rotating && !closed && clock.monotonicMs() >= notBeforeMs) await rewrapAll(signal);
  }

  return {
    run: (signal) => (running ??= run(signal).finally(() => (running = undefined))),
    async close() {
      closed = true;
      await running?.catch(() => undefined);
      await pool
        .query((sql) => sql`select x3sproxy.forget_process(${processId})`)
        .catch(() => undefined);
    },
  };
}
