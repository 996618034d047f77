// Which tables a backup includes, in which order, and which rows it leaves out. A table is included unless it is named here, so that a new
// one can't be forgotten. Must leave out what would let somebody in again that was used or ended since.
import type { Sql, TransactionSql } from "../db/index.ts";

export interface Table {
  readonly name: string;
  readonly columns: readonly string[];
}

/**
 * The tables left out, each with the reason. A restore must not bring back one-time or short-lived credentials, since they may have been
 * used, ended or revoked since.
 */
export const LEFT_OUT: Readonly<Record<string, string>> = {
  schema_migrations: "the header has it",
  schema_functions: "the version that restores makes them",
  sessions: "everybody signs in again",
  setup_links: "good once; a start makes one where it is needed",
  invitations: "good once; invite again",
  resets: "good once; make another link",
  registrations: "good once, for an hour; make another",
  deployment_requests: "whoever repeats a request gets the token again",
  account_attempts: "counts of wrong tries, which end by themselves",
  process_keys: "which process holds which master keys; processes are new after a restore",
  activity_writers: "which process has written what; processes are new after a restore",
};

/** For included tables with rows that are left out: the SQL condition of the rows to include. */
const KEPT_ROWS: Readonly<Record<string, string>> = {
  // A lease ends with its command.
  proxy_tokens: "kind <> 'lease'",
};

/** The tables of a backup, ordered so that foreign keys hold, except those that are checked at the end of a transaction. */
export async function tablesOf(sql: Sql | TransactionSql): Promise<Table[]> {
  const columns = await sql<{ table: string; column: string }[]>`
    select c.relname as table, a.attname as column
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'x3sproxy'::regnamespace and c.relkind = 'r'
      and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    order by c.relname, a.attnum`;
  const references = await sql<{ table: string; needs: string }[]>`
    select t.relname as table, n.relname as needs
    from pg_constraint f join pg_class t on t.oid = f.conrelid join pg_class n on n.oid = f.confrelid
    where f.contype = 'f' and not f.condeferred and t.relnamespace = 'x3sproxy'::regnamespace and t.oid <> n.oid`;
  const byName = new Map<string, string[]>();
  for (const { table, column } of columns) {
    if (table in LEFT_OUT) continue;
    byName.set(table, [...(byName.get(table) ?? []), column]);
  }
  return inOrder([...byName.keys()], references).map((name) => ({
    name,
    columns: byName.get(name) ?? [],
  }));
}

/** The SQL condition of the rows of a table to include. */
export function keptRows(table: string): string {
  return KEPT_ROWS[table] ?? "true";
}

function inOrder(
  names: readonly string[],
  references: readonly { table: string; needs: string }[],
): string[] {
  const ordered: string[] = [];
  const waiting = new Set(names);
  while (waiting.size > 0) {
    const free = [...waiting].filter(
      (name) => !references.some(({ table, needs }) => table === name && waiting.has(needs)),
    );
    if (free.length === 0) throw new Error("tables refer to each other in a circle");
    for (const name of free) {
      ordered.push(name);
      waiting.delete(name);
    }
  }
  return ordered;
}
