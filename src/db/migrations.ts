// The schema's history: numbered files of sql/, forward only, each applied once, in one transaction, under a lock. Must
// never run a file that differs from the one that was applied, nor start on a schema that it doesn't know.
import { hash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { ConfigError } from "../platform/errors.ts";
import { codeOf } from "../platform/unknown-values.ts";
import { withOwner, type OwnerSql, type Sql, type TransactionSql } from "./connection.ts";
import { LOCK } from "./locks.ts";
import { mayNotMakeRoles } from "./logins.ts";
import { transact } from "./transactions.ts";

interface Migration {
  readonly name: string;
  readonly text: string;
  readonly sha256: string;
}

const OLDEST_SERVER = 15;
const INSUFFICIENT_PRIVILEGE = "42501";
const LOCK_NOT_AVAILABLE = "55P03";
const SQL_FOLDER = new URL("../../sql/", import.meta.url);

/**
 * Applies what is missing of sql/*.sql and returns the names applied now. Throws ConfigError on a server that is too old,
 * an edited, missing or misplaced migration, and a database that is newer than this code.
 */
export function migrate(ownerUrl: string, folder: URL = SQL_FOLDER): Promise<string[]> {
  return withOwner(ownerUrl, async (sql) => {
    const migrations = await readMigrations(folder);
    await refuseOldServer(sql);
    await sql`set lock_timeout = '60s'`;
    try {
      await sql`select pg_advisory_lock(${LOCK.migrations})`;
      const missing = missingOf(migrations, await appliedTo(sql));
      // A statement that waits for a table which a backup reads would let everybody else wait behind it.
      if (missing.length > 0) await sql`select pg_advisory_lock(${LOCK.backup})`;
      for (const migration of missing) await apply(sql, migration);
      return missing.map(({ name }) => name);
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
  return readMigrations(SQL_FOLDER);
}

/** Those that a database has had, in order; none when it has no schema of ours. */
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
 * Applies what is missing, until and with the one that is called `last`, in a transaction of the caller's, who holds the lock of
 * migrations. Throws ConfigError as `migrate` does.
 */
export async function migrateWithin(
  sql: TransactionSql,
  last?: string,
): Promise<readonly string[]> {
  const migrations = await readMigrations(SQL_FOLDER);
  await refuseOldServer(sql);
  try {
    const missing = missingOf(migrations, await appliedTo(sql)).filter(
      ({ name }) => last === undefined || name <= last,
    );
    for (const migration of missing) await applyWithin(sql, migration);
    return missing.map(({ name }) => name);
  } catch (error) {
    if (codeOf(error) !== INSUFFICIENT_PRIVILEGE) throw error;
    throw new ConfigError(
      "DATABASE_URL: this user may not make the schema or the database roles of the service. " +
        "Run `x3sproxy migrate`: it says what an administrator of the server has to run",
    );
  }
}

async function readMigrations(folder: URL): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => /^\d{4}_.+\.sql$/.test(name)).sort();
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

function missingOf(known: readonly Migration[], applied: ReadonlyMap<string, string>): Migration[] {
  const names = new Set(known.map(({ name }) => name));
  const lastKnown = known.at(-1)?.name ?? "";
  const lastApplied = [...applied.keys()].at(-1) ?? "";
  for (const name of applied.keys()) {
    if (names.has(name)) continue;
    throw new ConfigError(
      name > lastKnown
        ? `the database is newer than this x3sproxy: it has had the migration ${name}. Start the newer version`
        : `the migration ${name}, which this database has had, is missing from sql/. Restore the file`,
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

async function apply(sql: OwnerSql, migration: Migration): Promise<void> {
  await transact(sql, (transaction) => applyWithin(transaction, migration));
}

async function applyWithin(sql: TransactionSql, { name, text, sha256 }: Migration): Promise<void> {
  await sql.unsafe(text).simple();
  await sql`insert into x3sproxy.schema_migrations (name, sha256) values (${name}, ${sha256})`;
}
