// The tables with sealed values: the primary key of each, and what a row's value is bound to. Must list every such table: a rotation
// skips the others, and their values are lost with the old master key. A test finds a table that is missing here.
import type { Sql, TransactionSql } from "../db/index.ts";
import { secretBinding, type Binding, type SealedValue } from "./sealing.ts";
import { seedBinding } from "./second-factor.ts";
import { serviceKeyBinding } from "./service-keys.ts";

export type KeyColumns = Readonly<Record<string, string | number>>;

export interface SealedTable {
  readonly name: string;
  /** Its primary key. */
  readonly key: readonly string[];
  bindingOf(row: Readonly<Record<string, unknown>>): Binding;
}

const text = (value: unknown): string => String(value);

export const SEALED_TABLES: readonly SealedTable[] = [
  {
    name: "secret_versions",
    key: ["secret_id", "version"],
    bindingOf: (row) =>
      secretBinding({
        workspaceId: text(row["workspace_id"]),
        secretId: text(row["secret_id"]),
        version: Number(row["version"]),
        origin: text(row["origin"]),
        header: text(row["header"]),
        scheme: text(row["scheme"]),
      }),
  },
  {
    name: "second_factors",
    key: ["user_id"],
    bindingOf: (row) =>
      seedBinding({ workspaceId: text(row["workspace_id"]), userId: text(row["user_id"]) }),
  },
  {
    name: "sealed_keys",
    key: ["name"],
    bindingOf: (row) => serviceKeyBinding(text(row["name"])),
  },
];

/** A sealed row, with its key and what it is bound to. */
export type SealedRow = SealedValue & {
  readonly columns: KeyColumns;
  readonly binding: Binding;
};

/** The ids of all master keys under which something is sealed. `sql`: a connection of the owner role. */
export async function keysInUse(sql: Sql | TransactionSql): Promise<string[]> {
  const ids = new Set<string>();
  for (const { name } of SEALED_TABLES) {
    const rows = await sql<
      { key_id: string }[]
    >`select distinct key_id from ${sql(`x3sproxy.${name}`)}`;
    for (const { key_id: id } of rows) ids.add(id);
  }
  return [...ids].sort();
}

/**
 * Locks and reads the next rows after `after`, by primary key, that are sealed under the master key `keyId`. Skips rows that another
 * transaction has locked, so that it never waits.
 */
export async function lockRows(
  sql: TransactionSql,
  table: SealedTable,
  o: { keyId: string; after: KeyColumns | undefined; limit: number },
): Promise<SealedRow[]> {
  const { after } = o;
  const [first = "", second] = table.key;
  const isAfter =
    after === undefined
      ? sql``
      : second === undefined
        ? sql`and ${sql(first)} > ${after[first] ?? null}`
        : sql`and (${sql(first)}, ${sql(second)}) > (${after[first] ?? null}, ${after[second] ?? null})`;
  const order = second === undefined ? sql`${sql(first)}` : sql`${sql(first)}, ${sql(second)}`;
  const rows = await sql<Record<string, unknown>[]>`
    select * from ${sql(`x3sproxy.${table.name}`)}
    where key_id = ${o.keyId} ${isAfter}
    order by ${order} limit ${o.limit} for no key update skip locked`;
  return rows.map((row) => ({
    columns: Object.fromEntries(table.key.map((name) => [name, row[name] as string | number])),
    binding: table.bindingOf(row),
    keyId: text(row["key_id"]),
    wrappedKey: row["wrapped_key"] as Buffer,
    ciphertext: row["ciphertext"] as Buffer,
  }));
}

/** Replaces the value of a row, unless it has changed meanwhile. */
export async function replaceValue(
  sql: TransactionSql,
  table: SealedTable,
  row: SealedRow,
  value: SealedValue,
): Promise<void> {
  const [first = "", second] = table.key;
  const { columns } = row;
  const isSecond =
    second === undefined ? sql`` : sql`and ${sql(second)} = ${columns[second] ?? null}`;
  await sql`
    update ${sql(`x3sproxy.${table.name}`)}
    set key_id = ${value.keyId}, wrapped_key = ${value.wrappedKey}, ciphertext = ${value.ciphertext}
    where ${sql(first)} = ${columns[first] ?? null} ${isSecond}
      and key_id = ${row.keyId} and wrapped_key = ${row.wrappedKey}`;
}
