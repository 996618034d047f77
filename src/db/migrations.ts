// Migrates the schema: runs each file of sql/migrations/ once, and each file of sql/functions/ when its text has changed. All in one
// transaction, under a lock. Must never accept an edited migration, nor a schema that this version doesn't know.
import { hash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { ConfigError } from "../platform/errors.ts";
import { codeOf } from "../platform/unknown-values.ts";
import { withOwner, type Sql, type TransactionSql } from "./connection.ts";
import { LOCK } from "./locks.ts";
import { mayNotMakeRoles } from "./logins.ts";
import { transact } from "./transactions.ts";

interface SqlFile {
  readonly name: string;
  readonly text: string;
  readonly sha256: string;
}

/** sql/edition.json: a number that grows with each change of the functions, and the digest of the functions that it stands for. */
export interface Edition {
  readonly number: number;
  readonly sha256: string;
}

interface SqlFiles {
  readonly migrations: readonly SqlFile[];
  readonly functions: readonly SqlFile[];
  /** Undefined: none is checked. */
  readonly edition: number | undefined;
}

interface Folders {
  readonly migrations: URL;
  readonly functions?: URL;
  /** The file of the functions' edition. */
  readonly edition?: URL;
}

const OLDEST_SERVER = 15;
const INSUFFICIENT_PRIVILEGE = "42501";
const LOCK_NOT_AVAILABLE = "55P03";
const FOLDERS: Folders = {
  migrations: new URL("../../sql/migrations/", import.meta.url),
  functions: new URL("../../sql/functions/", import.meta.url),
  edition: new URL("../../sql/edition.json", import.meta.url),
};
// The row of schema_functions that holds the edition.
const EDITION = "edition";
// These need the other functions, and each of their statements locks a table.
const LAST = ["triggers.sql", "policies.sql"];

/**
 * Migrates the database to this version; resolves to the names of the files that were run. Throws ConfigError for a server that is too
 * old, an edited, missing or misplaced migration, and a database that is newer than this version.
 */
export function migrate(ownerUrl: string, folders: Folders = FOLDERS): Promise<string[]> {
  return withOwner(ownerUrl, async (sql) => {
    const files = await readFiles(folders);
    await refuseOldServer(sql);
    await sql`set lock_timeout = '60s'`;
    try {
      await sql`select pg_advisory_lock(${LOCK.migrations})`;
      const missing = missingOf(files.migrations, await appliedTo(sql));
      const isCurrent = missing.length === 0 && (await changedOf(files, sql)).length === 0;
      if (isCurrent) return [];
      // Wait for a running backup here. A statement that waits for a table which it reads would block all others behind it.
      await sql`select pg_advisory_lock(${LOCK.backup})`;
      return await transact(sql, async (transaction) => {
        // A table can't be altered while deferred constraint checks are pending on it.
        await transaction`set constraints all immediate`;
        return apply(transaction, missing, files);
      });
    } catch (error) {
      if (codeOf(error) === INSUFFICIENT_PRIVILEGE) throw await mayNotMakeRoles(sql);
      if (codeOf(error) !== LOCK_NOT_AVAILABLE) throw error;
      throw new ConfigError(
        "the database is locked: another x3sproxy has been migrating it or making a backup of it for a minute, or somebody holds a table",
      );
    }
    // The locks end with the connection.
  });
}

/** The migrations of this version, in order. */
export async function knownMigrations(): Promise<readonly { name: string; sha256: string }[]> {
  return (await readFiles(FOLDERS)).migrations;
}

/** The migrations applied to a database, in order; none when it has no schema of ours. */
export async function appliedMigrations(sql: Sql): Promise<{ name: string; sha256: string }[]> {
  const [state] = await sql<[{ there: boolean }]>`
    select to_regclass('x3sproxy.schema_migrations') is not null as there`;
  if (!state.there) return [];
  return [
    ...(await sql<{ name: string; sha256: string }[]>`
      select name, sha256 from x3sproxy.schema_migrations order by name`),
  ];
}

/**
 * Migrates within the caller's transaction; the caller holds the lock on migrations. `last`: stop after this migration, and leave out
 * the functions, which belong to the newest schema. Throws ConfigError as `migrate` does.
 */
export async function migrateWithin(
  sql: TransactionSql,
  last?: string,
): Promise<readonly string[]> {
  const files = await readFiles(FOLDERS);
  await refuseOldServer(sql);
  try {
    const missing = missingOf(files.migrations, await appliedTo(sql));
    if (last === undefined) return await apply(sql, missing, files);
    return await apply(
      sql,
      missing.filter(({ name }) => name <= last),
      { functions: [], edition: undefined },
    );
  } catch (error) {
    if (codeOf(error) !== INSUFFICIENT_PRIVILEGE) throw error;
    throw new ConfigError(
      "DATABASE_URL: this user may not make the schema or the database roles of the service. " +
        "Run `x3sproxy migrate`: it says what an administrator of the server has to run",
    );
  }
}

/** The edition of the functions in a folder: `before`, or the next number if they have changed since. */
export async function editionOf(folder: URL, before: Edition): Promise<Edition> {
  const functions = await readFolder(folder, /\.sql$/);
  const text = functions.map(({ name, sha256 }) => `${name} ${sha256}\n`).join("");
  const sha256 = hash("sha256", text, "hex");
  return before.sha256 === sha256 ? before : { number: before.number + 1, sha256 };
}

export async function readEdition(file: URL): Promise<Edition> {
  return JSON.parse(await readFile(file, "utf8")) as Edition;
}

async function readFiles(folders: Folders): Promise<SqlFiles> {
  const functions = folders.functions ? await readFolder(folders.functions, /\.sql$/) : [];
  const isLast = ({ name }: SqlFile): number => LAST.indexOf(name);
  return {
    migrations: await readFolder(folders.migrations, /^\d{4}_.+\.sql$/),
    functions: functions.toSorted((a, b) => isLast(a) - isLast(b)),
    edition: folders.edition && (await readEdition(folders.edition)).number,
  };
}

async function readFolder(folder: URL, pattern: RegExp): Promise<SqlFile[]> {
  const names = (await readdir(folder)).filter((name) => pattern.test(name)).sort();
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(new URL(name, folder), "utf8");
      return { name, text, sha256: hash("sha256", text, "hex") };
    }),
  );
}

async function refuseOldServer(sql: Sql): Promise<void> {
  const [row] = await sql<{ server_version_num: string }[]>`show server_version_num`;
  const major = Math.floor(Number(row?.server_version_num) / 10_000);
  if (major < OLDEST_SERVER) {
    throw new ConfigError(
      `DATABASE_URL: this is Postgres ${major}; the service needs ${OLDEST_SERVER} or newer`,
    );
  }
}

async function appliedTo(sql: Sql): Promise<Map<string, string>> {
  await ensureSchema(sql);
  await sql`
    create table if not exists x3sproxy.schema_migrations (
      name text primary key,
      sha256 text not null,
      applied_at timestamptz not null default now()
    )`;
  const rows = await sql<{ name: string; sha256: string }[]>`
    select name, sha256 from x3sproxy.schema_migrations order by name`;
  return new Map(rows.map(({ name, sha256 }) => [name, sha256]));
}

async function ensureSchema(sql: Sql): Promise<void> {
  const [state] = await sql<
    { user: string; database: string; owner: string | null; ours: boolean; may: boolean }[]
  >`
    select quote_ident(current_user) as user, quote_ident(current_database()) as database,
      (select nspowner::regrole::text from pg_namespace where nspname = 'x3sproxy') as owner,
      (select pg_has_role(nspowner, 'usage') from pg_namespace where nspname = 'x3sproxy') as ours,
      has_database_privilege(current_database(), 'create') as may`;
  if (state === undefined || state.ours) return;
  if (state.owner !== null) {
    throw new ConfigError(
      `DATABASE_URL: the schema x3sproxy belongs to the database user ${state.owner}, and this is ${state.user}. ` +
        "Connect as its owner",
    );
  }
  if (!state.may) {
    throw new ConfigError(
      `DATABASE_URL: the user ${state.user} may not make a schema in this database. ` +
        `Let an administrator run: grant create on database ${state.database} to ${state.user};`,
    );
  }
  await sql`create schema x3sproxy`;
}

function missingOf(known: readonly SqlFile[], applied: ReadonlyMap<string, string>): SqlFile[] {
  const names = new Set(known.map(({ name }) => name));
  const lastKnown = known.at(-1)?.name ?? "";
  const lastApplied = [...applied.keys()].at(-1) ?? "";
  for (const name of applied.keys()) {
    if (names.has(name)) continue;
    throw new ConfigError(
      name > lastKnown
        ? `the database is newer than this x3sproxy: it has had the migration ${name}. Start the newer version`
        : `the migration ${name}, which this database has had, is missing from sql/migrations/. Restore the file`,
    );
  }
  for (const { name, sha256 } of known) {
    const before = applied.get(name);
    if (before !== undefined && before !== sha256) {
      throw new ConfigError(
        `the migration ${name} was edited after this database had it. Restore the file, and add a new one for the change`,
      );
    }
    if (before === undefined && name < lastApplied) {
      throw new ConfigError(
        `the migration ${name} comes before ${lastApplied}, which this database has had. Give it a later number`,
      );
    }
  }
  return known.filter(({ name }) => !applied.has(name));
}

/**
 * The files whose text has changed since the database last ran them. Throws ConfigError if the database has a newer edition: this version
 * would put older functions in the place of newer ones.
 */
async function changedOf(
  { functions, edition }: Pick<SqlFiles, "functions" | "edition">,
  sql: Sql,
): Promise<readonly SqlFile[]> {
  if (functions.length === 0) return [];
  const rows = await sql<{ name: string; sha256: string }[]>`
    select name, sha256 from x3sproxy.schema_functions`;
  const had = new Map(rows.map(({ name, sha256 }) => [name, sha256]));
  if (edition !== undefined && Number(had.get(EDITION) ?? 0) > edition) {
    throw new ConfigError(
      "the database is newer than this x3sproxy: it has had newer functions. Start the newer version",
    );
  }
  return functions.filter(({ name, sha256 }) => had.get(name) !== sha256);
}

/** Runs the files; resolves to their names. */
async function apply(
  sql: TransactionSql,
  missing: readonly SqlFile[],
  files: Pick<SqlFiles, "functions" | "edition">,
): Promise<string[]> {
  for (const { name, text, sha256 } of missing) {
    await sql.unsafe(text).simple();
    await sql`insert into x3sproxy.schema_migrations (name, sha256) values (${name}, ${sha256})`;
  }
  const changed = await changedOf(files, sql);
  // A function may call one that is created later.
  await sql`set local check_function_bodies = off`;
  for (const { name, text, sha256 } of changed) {
    await sql.unsafe(text).simple();
    await note(sql, name, sha256);
  }
  if (files.edition !== undefined) await note(sql, EDITION, String(files.edition));
  return [...missing, ...changed].map(({ name }) => name);
}

async function note(sql: TransactionSql, name: string, sha256: string): Promise<void> {
  await sql`
    insert into x3sproxy.schema_functions (name, sha256) values (${name}, ${sha256})
    on conflict (name) do update set sha256 = excluded.sha256, applied_at = now()`;
}
