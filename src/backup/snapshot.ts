// Reads a snapshot of the whole database into a backup, in constant memory, on its own connection. Must close that connection as soon as
// the backup ends or fails, since Postgres can't vacuum while a snapshot is open. Must never write.
import { readFileSync } from "node:fs";
import type { Readable } from "node:stream";
import { LOCK, transact, withOwner, type TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import { ContainerWriter, FORMAT, VERSION, type Header } from "./container.ts";
import { keptRows, tablesOf, type Table } from "./tables.ts";

export interface SnapshotOptions {
  readonly ownerUrl: string;
  readonly id: string;
  /** Called before the snapshot is taken, when no other backup is running. What it writes is in the backup. */
  readonly beforeBegin: () => Promise<void>;
  /** Writes a piece; resolves when the reader is ready for more. */
  readonly write: (piece: Buffer) => Promise<void>;
  /** Called when the snapshot is taken. */
  readonly onBegin: (header: Header) => void;
  /** Called before the last piece is written. If it rejects, the backup lacks its end. */
  readonly beforeEnd: (summary: { rows: number; sha256: string }) => Promise<void>;
  /** Aborts the backup at once. */
  readonly signal: AbortSignal;
}

const PRODUCT = (
  JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  }
).version;

/** Rejects with RequestError 503 `busy`, the signal's reason, StoreUnavailableError, or what a given function rejects with. */
export async function readSnapshot(o: SnapshotOptions): Promise<void> {
  const { promise: given, reject: giveUp } = Promise.withResolvers<never>();
  const onAbort = (): void => giveUp(o.signal.reason);
  o.signal.addEventListener("abort", onAbort);
  given.catch(() => undefined);
  try {
    o.signal.throwIfAborted();
    await withOwner(o.ownerUrl, async (sql) => {
      // One backup at a time, over all processes. The lock ends with the connection.
      const [lock] = await sql<[{ mine: boolean }]>`
        select pg_try_advisory_lock(${LOCK.backup}) as mine`;
      if (!lock.mine) throw busy();
      await o.beforeBegin();
      const reading = transact(
        sql,
        (transaction) =>
          read(transaction, o).catch((error: unknown) => {
            giveUp(error);
            throw error;
          }),
        { isolation: "isolation level repeatable read, read only" },
      );
      // After a failure close the connection without waiting for a rollback, which would wait for all that the server still sends.
      reading.catch(() => undefined);
      await Promise.race([reading, given]);
    });
  } finally {
    o.signal.removeEventListener("abort", onAbort);
  }
}

export function busy(): RequestError {
  return new RequestError(
    503,
    "busy",
    "Another backup is being made, or the database is being migrated. Try again later.",
    {
      retryAfterS: 60,
    },
  );
}

async function read(sql: TransactionSql, o: SnapshotOptions): Promise<void> {
  // Fix the text format of all values, whatever the server's settings are.
  await sql.unsafe(
    "set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set local intervalstyle = 'postgres'; " +
      "set local bytea_output = 'hex'; set local extra_float_digits = 1; set local lock_timeout = '10s'; " +
      "set local statement_timeout = 0; set local idle_in_transaction_session_timeout = '5min'",
  );
  const tables = await tablesOf(sql);
  const header: Header = {
    format: FORMAT,
    version: VERSION,
    id: o.id,
    ...(await stateOf(sql)),
    masterKeys: await masterKeysOf(sql, tables),
    tables: await counted(sql, tables),
    sequences: await sequencesOf(sql),
  };
  o.onBegin(header);
  const writer = new ContainerWriter(o.write);
  await writer.header(header);
  for (const table of tables) await writer.table(table.name, rowsOf(sql, table));
  await o.beforeEnd(writer.summary());
  await writer.end();
}

async function stateOf(sql: TransactionSql) {
  const migrations = await sql<{ name: string; sha256: string }[]>`
    select name, sha256 from x3sproxy.schema_migrations order by name`;
  const [now] = await sql<[{ at: Date }]>`select now() as at`;
  return {
    createdAt: now.at.toISOString(),
    product: PRODUCT,
    migrations: migrations.map(({ name, sha256 }) => ({ name, sha256 })),
  };
}

/** The master keys that the backup needs: the active one, and those under which something in it is sealed. */
async function masterKeysOf(
  sql: TransactionSql,
  tables: readonly Table[],
): Promise<Header["masterKeys"]> {
  const used = new Set<string>();
  for (const { name, columns } of tables) {
    if (name === "master_keys" || !columns.includes("key_id")) continue;
    const rows = await sql<{ key_id: string }[]>`
      select distinct key_id from x3sproxy.${sql(name)} where key_id is not null`;
    for (const { key_id } of rows) used.add(key_id);
  }
  const rows = await sql<{ key_id: string; check_value: Buffer; active: boolean }[]>`
    select key_id, check_value, coalesce((to_jsonb(k) ->> 'active')::boolean, true) as active -- older schemas knew one key only
    from x3sproxy.master_keys k order by created_at, key_id`;
  return rows
    .filter(({ key_id, active }) => active || used.has(key_id))
    .map(({ key_id, check_value }) => ({ id: key_id, check: check_value.toString("base64") }));
}

async function counted(sql: TransactionSql, tables: readonly Table[]): Promise<Header["tables"]> {
  const result: Header["tables"] = [];
  for (const { name, columns } of tables) {
    const [row] = await sql<[{ rows: string }]>`
      select count(*) as rows from x3sproxy.${sql(name)} where ${sql.unsafe(keptRows(name))}`;
    result.push({ name, columns: [...columns], rows: Number(row.rows) });
  }
  return result;
}

async function sequencesOf(sql: TransactionSql): Promise<Header["sequences"]> {
  const names = await sql<{ name: string }[]>`
    select relname as name from pg_class
    where relnamespace = 'x3sproxy'::regnamespace and relkind = 'S' order by relname`;
  const result: Header["sequences"] = [];
  for (const { name } of names) {
    const [row] = await sql<[{ last_value: string; is_called: boolean }]>`
      select last_value, is_called from x3sproxy.${sql(name)}`;
    result.push({ name, last: row.last_value, used: row.is_called });
  }
  return result;
}

async function* rowsOf(sql: TransactionSql, { name, columns }: Table): AsyncGenerator<Buffer> {
  // The names come from the database's catalog, and are all lower case.
  const list = columns.map((column) => `"${column}"`).join(", ");
  const statement = `copy (select ${list} from x3sproxy."${name}" where ${keptRows(name)}) to stdout`;
  const stream: Readable = await sql.unsafe(statement).readable();
  yield* stream as AsyncIterable<Buffer>;
}
