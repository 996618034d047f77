// A backup into an empty database, all of it in one transaction: whatever goes wrong, the database stays as it was. What was revoked
// after the backup comes back with it, so agents stay suspended until somebody has looked, unless they are told to go on.
import type { Writable } from "node:stream";
import { record, type Actor, type ChangeEvent } from "../audit/index.ts";
import {
  appliedMigrations,
  knownMigrations,
  LOCK,
  migrateWithin,
  transact,
  withOwner,
  type Sql,
  type TransactionSql,
} from "../db/index.ts";
import { ConfigError } from "../platform/errors.ts";
import { missingKeys, type KeyRing } from "../vault/index.ts";
import { ContainerError, readContainer, type Contents, type Header } from "./container.ts";
import { LEFT_OUT, tablesOf } from "./tables.ts";

/** Opens the backup anew, from its beginning. */
export type OpenBackup = () => AsyncIterable<Uint8Array>;

export interface Restored {
  readonly backupId: string;
  /** ISO 8601: everything is as it was then. */
  readonly createdAt: string;
  readonly rows: number;
  /** Migrations that came after the rows: this version is newer than the backup. */
  readonly migrated: readonly string[];
  readonly agentsSuspended: boolean;
  /** What may be alive again that was ended since. */
  readonly agents: number;
  readonly apiKeys: number;
  readonly users: number;
}

/** Reads a backup through to its end and writes nothing. Throws ContainerError, and what `open` throws. */
export function checkBackup(open: OpenBackup): Promise<Contents> {
  return readContainer(open(), {});
}

/**
 * What speaks against restoring `header` with this version and these keys, before a database is touched. Throws ContainerError and
 * ConfigError.
 */
export async function checkHeader(header: Header, ring: KeyRing): Promise<void> {
  const known = await knownMigrations();
  header.migrations.forEach(({ name, sha256 }, i) => {
    const own = known[i];
    if (own?.name === name && own.sha256 === sha256) return;
    throw new ContainerError(
      own === undefined || name > (known.at(-1)?.name ?? "")
        ? `the backup is from a newer x3sproxy (${header.product}): it has had the migration ${name}. Restore it with that version`
        : `the backup's schema isn't one that this x3sproxy knows: it differs at the migration ${name}`,
    );
  });
  const needed = header.masterKeys.map(({ id, check }) => ({
    id,
    checkValue: Buffer.from(check, "base64"),
  }));
  const missing = await missingKeys(ring, needed);
  if (missing.length === 0) return;
  throw new ConfigError(
    `wrong master key: the backup needs ${missing.join(", ")}, and given is ${ring.ids.join(", ")}. ` +
      "The master key is not part of a backup: give the one that the service had",
  );
}

/** Restores. Throws ConfigError when the database isn't empty, ContainerError, and what `open` throws; then nothing was changed. */
export function restore(o: {
  ownerUrl: string;
  open: OpenBackup;
  header: Header;
  /** Whether agents' calls are refused until somebody lets them go on. */
  suspendAgents: boolean;
  /** Told how many bytes of rows have been written. */
  onProgress?: (bytes: number) => void;
}): Promise<Restored> {
  return withOwner(o.ownerUrl, async (sql) => {
    // Whoever starts a service meanwhile waits for us, and then finds all of it or nothing.
    await sql`set lock_timeout = '60s'`;
    await sql`select pg_advisory_lock(${LOCK.migrations})`;
    await refuseUsed(sql, o.header);
    return transact(sql, (transaction) => restoreWithin(transaction, o)).catch((error: unknown) => {
      throw contentProblem(error) ?? error;
    });
  });
}

/** What Postgres (its manual, appendix A) says of values and of constraints, which come from the backup. */
function contentProblem(error: unknown): ContainerError | undefined {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return /^2[23][0-9A-Z]{3}$/.test(code)
    ? new ContainerError(`the backup has something in it that the database can't keep (${code})`)
    : undefined;
}

async function refuseUsed(sql: Sql, header: Header): Promise<void> {
  const applied = await appliedMigrations(sql);
  const tables = await sql<{ name: string }[]>`
    select relname as name from pg_class
    where relnamespace = (select oid from pg_namespace where nspname = 'x3sproxy') and relkind = 'r'
      and relname not in ('schema_migrations', 'schema_functions')`;
  for (const { name } of tables) {
    if ((await sql`select from x3sproxy.${sql(name)} limit 1`).count === 0) continue;
    throw new ConfigError(
      `the database is not empty: x3sproxy.${name} has rows. Restore into an empty database, and nothing is lost by mistake`,
    );
  }
  const fits = applied.every(({ name }, i) => header.migrations[i]?.name === name);
  if (fits && (applied.length > 0 || tables.length === 0)) return;
  throw new ConfigError(
    "the database has a schema x3sproxy already, another than the backup's. It has no rows: let `drop schema x3sproxy cascade` be run " +
      "in it, and restore again",
  );
}

async function restoreWithin(
  sql: TransactionSql,
  o: Parameters<typeof restore>[0],
): Promise<Restored> {
  const { header } = o;
  await sql.unsafe(
    "set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set local intervalstyle = 'postgres'",
  );
  await migrateWithin(sql, header.migrations.at(-1)?.name);
  await refuseUnknownColumns(sql, header);
  const tables = header.tables.map(({ name }) => `x3sproxy."${name}"`);
  for (const table of tables) await sql.unsafe(`alter table ${table} disable trigger user`);
  // What a migration puts into an empty database, the backup has, too.
  for (const table of tables.toReversed()) await sql.unsafe(`delete from ${table}`);
  const contents = await load(sql, o);
  if (contents.header.id !== header.id) throw new ContainerError("the file was changed meanwhile");
  await sql`set constraints all immediate`;
  for (const table of tables) await sql.unsafe(`alter table ${table} enable trigger user`);
  for (const { name, last, used } of header.sequences) {
    await sql`select setval(${`x3sproxy.${name}`}::regclass, ${last}::bigint, ${used})`;
  }
  const migrated = await migrateWithin(sql);
  if (o.suspendAgents) await suspendAgents(sql);
  await record(sql, await restorer(sql), {
    ...eventOf(header),
    detail: {
      madeAt: header.createdAt,
      rows: contents.rows,
      sha256: contents.sha256,
      agents: o.suspendAgents ? "suspended" : "go on",
    },
  });
  const [counts] = await sql<[{ agents: string; keys: string; users: string }]>`
    select (select count(*) from x3sproxy.agents) as agents, (select count(*) from x3sproxy.api_keys) as keys,
      (select count(*) from x3sproxy.users) as users`;
  return {
    backupId: header.id,
    createdAt: header.createdAt,
    rows: contents.rows,
    migrated,
    agentsSuspended: o.suspendAgents,
    agents: Number(counts.agents),
    apiKeys: Number(counts.keys),
    users: Number(counts.users),
  };
}

/** The names of a backup go into statements, and whoever has its public key could have made it. */
async function refuseUnknownColumns(sql: TransactionSql, header: Header): Promise<void> {
  const known = new Map((await tablesOf(sql)).map(({ name, columns }) => [name, columns]));
  const same = (a: readonly string[], b: readonly string[]): boolean =>
    [...a].sort().join() === [...b].sort().join();
  const fits =
    header.tables.length === known.size &&
    header.tables.every(
      ({ name, columns }) => !(name in LEFT_OUT) && same(known.get(name) ?? [], columns),
    );
  const sequences = await sql<{ name: string }[]>`
    select relname as name from pg_class where relnamespace = 'x3sproxy'::regnamespace and relkind = 'S'`;
  const names = new Set(sequences.map(({ name }) => name));
  if (fits && header.sequences.every(({ name }) => names.has(name))) return;
  throw new ContainerError("the backup's tables aren't those of its own schema");
}

async function load(
  sql: TransactionSql,
  { open, header, onProgress }: Parameters<typeof restore>[0],
): Promise<Contents> {
  let copying: { stream: Writable; failed: () => Error | undefined } | undefined;
  let written = 0;
  let table = "";
  const failed = (): ContainerError =>
    new ContainerError(`the backup's rows don't fit into the table ${table}`);
  return readContainer(open(), {
    async beginTable(name) {
      table = name;
      const columns = header.tables.find((each) => each.name === name)?.columns ?? [];
      const list = columns.map((column) => `"${column}"`).join(", ");
      const stream = await sql.unsafe(`copy x3sproxy."${name}" (${list}) from stdin`).writable();
      let error: Error | undefined;
      stream.on("error", (reason) => (error ??= reason));
      copying = { stream, failed: () => error };
    },
    async rows(bytes) {
      if (copying === undefined) throw new Error("rows of no table");
      if (copying.failed() !== undefined) throw failed();
      const { stream } = copying;
      // An error is told by the event.
      await new Promise<void>((resolve) => void stream.write(bytes, () => resolve()));
      onProgress?.((written += bytes.length));
    },
    async endTable() {
      if (copying === undefined) throw new Error("rows of no table");
      const { stream } = copying;
      copying = undefined;
      stream.end();
      await new Promise((resolve) => setImmediate(resolve));
      // The package does not tell of a COPY that fails at its end; in a transaction that failed, nothing else is answered.
      await sql`select 1`.catch(() => {
        throw failed();
      });
    },
  });
}

/** All agents of all workspaces, each workspace's audit told of it. */
async function suspendAgents(sql: TransactionSql): Promise<void> {
  const suspended = await sql<{ id: string; name: string }[]>`
    update x3sproxy.workspaces set agents_suspended_at = now() where agents_suspended_at is null
    returning id, name`;
  for (const { id, name } of suspended) {
    await record(sql, actorIn(id), {
      action: "workspace.suspend",
      target: { kind: "workspace", id, name },
    });
  }
}

async function restorer(sql: TransactionSql): Promise<Actor> {
  const [home] = await sql<{ id: string }[]>`select id from x3sproxy.workspaces where home`;
  if (home === undefined) throw new ContainerError("the backup has no home workspace");
  return actorIn(home.id);
}

function actorIn(workspaceId: string): Actor {
  return {
    ...{ workspaceId, kind: "service", id: null, name: "restore" },
    ...{ address: null, method: "command" },
  } as const;
}

function eventOf(header: Header): Pick<ChangeEvent, "action" | "target"> {
  return {
    action: "backup.restore",
    target: { kind: "backup", id: header.id, name: header.id },
  };
}
