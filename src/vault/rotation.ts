// From one master key to another while the service runs. Each process says every two seconds which keys it holds, and hears which one is
// active. While something is sealed under another key than that, one process at a time opens its data keys and wraps them anew, a few
// rows a transaction: whoever is killed in the midst of it leaves only rows that open, and the next one goes on. On an owner's connection,
// which is there only for that long: no other login may change a sealed value. Must never log what it opens.
import { setTimeout as delay } from "node:timers/promises";
import { record, serviceActor } from "../audit/index.ts";
import type { Clock } from "../platform/clock.ts";
import { createPool, LOCK, type Pool, type TransactionSql } from "../db/index.ts";
import { SealError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import type { KeyRing } from "./master-key.ts";
import { rewrap } from "./sealing.ts";
import {
  holdRows,
  SEALED_TABLES,
  swapValue,
  type KeyColumns,
  type SealedTable,
} from "./sealed-tables.ts";

export interface KeyRotation {
  /**
   * One report, and one round of rewrapping if there is something to rewrap, until `signal` says so. To be called every two seconds. Rejects
   * with StoreUnavailableError.
   */
  run(signal?: AbortSignal): Promise<void>;
  /** Ends after the transaction that is under way, and takes back that this process is there. */
  close(): Promise<void>;
}

/** How far a round has come in a table: the key whose rows it is at, and the last of these. */
interface Position {
  readonly keyId: string;
  readonly after: KeyColumns | undefined;
}

const BATCH_ROWS = 50;
const PAUSE_MS = 20;
// What was begun with the key before it has been committed or given up by then: longer than a pool's deadline.
const SETTLED_MS = 6000;
// After a round that left rows which don't open.
const RETRY_UNREADABLE_MS = 60_000;
const MAX_LOGGED_ROWS = 100;

/** `pool`: of the control role. `homeId`: the workspace whose audit tells of it. */
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

  /** The key that this process has sealed with for long enough that nothing under an earlier one can still come. */
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

  async function rewrapAll(signal?: AbortSignal): Promise<void> {
    const owner = createPool(o.ownerUrl, { max: 1 });
    try {
      let skipped = 0;
      let moved = 0;
      for (const table of SEALED_TABLES) {
        let at: Position | undefined = { keyId: "", after: undefined };
        while (at !== undefined) {
          const part = await rewrapPart(owner, table, at);
          if (part === "not_ours" || closed || signal?.aborted === true) return;
          skipped += part.skipped;
          moved += part.moved;
          at = part.next;
          await delay(PAUSE_MS);
        }
      }
      if (moved > 0) log.info("rewrapped data keys", { count: moved, masterKey: ring.active.id });
      if (skipped > 0 && moved === 0) notBeforeMs = clock.monotonicMs() + RETRY_UNREADABLE_MS;
      await finish(owner, skipped);
    } finally {
      await owner.close();
    }
  }

  function rewrapPart(
    owner: Pool,
    table: SealedTable,
    at: Position,
  ): Promise<{ moved: number; skipped: number; next: Position | undefined } | "not_ours"> {
    return inTurn(owner, async (sql, oldIds) => {
      const { id } = ring.active;
      const keyId = oldIds.find((each) => each >= at.keyId);
      if (keyId === undefined) return { moved: 0, skipped: 0, next: undefined };
      const after = keyId === at.keyId ? at.after : undefined;
      const rows = await holdRows(sql, table, { keyId, after, limit: BATCH_ROWS });
      let skipped = 0;
      for (const row of rows) {
        try {
          await swapValue(sql, table, row, rewrap(ring, row.binding, row));
        } catch (error) {
          if (!(error instanceof SealError)) throw error;
          skipped += 1;
          tell(error);
        }
      }
      const moved = rows.length - skipped;
      if (moved > 0) {
        await sql`update x3sproxy.master_keys set rewrapped = rewrapped + ${moved} where key_id = ${id} and active`;
      }
      const last = rows.length < BATCH_ROWS ? undefined : rows.at(-1)?.columns;
      const nextKeyId = last === undefined ? oldIds.find((each) => each > keyId) : keyId;
      const next = nextKeyId === undefined ? undefined : { keyId: nextKeyId, after: last };
      return { moved, skipped, next };
    });
  }

  /** Each row once. */
  function tell(error: SealError): void {
    if (unreadable.has(error.message) || unreadable.size >= MAX_LOGGED_ROWS) return;
    unreadable.add(error.message);
    // Of our own making: it names the row, and nothing that is in it.
    log.error("a sealed value can't be rewrapped", { row: error.message });
  }

  /** Once nothing is left under other keys, and no process can add to that: says so, once. */
  async function finish(owner: Pool, skipped: number): Promise<void> {
    await inTurn(owner, async (sql, oldIds) => {
      const { id } = ring.active;
      await sql`
        update x3sproxy.master_keys set unreadable = ${skipped} where key_id = ${id} and active and unreadable <> ${skipped}`;
      for (const { name } of SEALED_TABLES) {
        const left = await sql`
          select from ${sql(`x3sproxy.${name}`)} where key_id = any (${oldIds}) limit 1`;
        if (left.length > 0) return;
      }
      const behind = await sql`
        select from x3sproxy.process_keys
        where seen_at > now() - interval '1 minute' and seals_with <> ${id} limit 1`;
      if (behind.length > 0) return;
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

  /** A transaction of the one process whose turn it is, with the ids of the keys that are not active. */
  function inTurn<T>(
    owner: Pool,
    work: (sql: TransactionSql, oldIds: string[]) => Promise<T>,
  ): Promise<T | "not_ours"> {
    return owner.transaction(async (sql) => {
      const [lock] = await sql<[{ mine: boolean }]>`
        select pg_try_advisory_xact_lock(${LOCK.masterKeyRotation}) as mine`;
      if (!lock.mine) return "not_ours";
      const keys = await sql<{ id: string; active: boolean }[]>`
        select key_id as id, active from x3sproxy.master_keys`;
      // Another one was made active since: the next report tells us.
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
