// Restores a backup into an empty database, and verifies the audit afterwards. All rows are restored in one transaction, so that a failure
// changes nothing. A restore also brings back what was revoked after the backup; so agents are suspended unless the caller says otherwise.
// Must never write into a database that has rows.
import type { Writable } from "node:stream";
import { type Actor, type ChangeEvent, verifyTree, record } from "../audit/index.ts";
import {
  appliedMigrations,
  knownMigrations,
  LOCK,
  migrateWithin,
  type Sql,
  transact,
  type TransactionSql,
  withOwner,
} from "../db/index.ts";
import { ConfigError } from "../platform/errors.ts";
import { type KeyRing, missingKeys } from "../vault/index.ts";
import { ContainerError, type Contents, type Header, readContainer } from "./container.ts";
import { LEFT_OUT, tablesOf } from "./tables.ts";

/** Opens the backup again, from its beginning. */
export type OpenBackup = () => AsyncIterable<Uint8Array>;

export interface Restored {
  readonly backupId: string;
  /** When the backup was made, ISO 8601. */
  readonly createdAt: string;
  readonly rows: number;
  /** Migrations applied after the rows, because this version is newer than the backup. */
  readonly migrated: readonly string[];
  readonly agentsSuspended: boolean;
  /** The numbers of agents, API keys and users; some may have been deleted since the backup. */
  readonly agents: number;
  readonly apiKeys: number;
  readonly users: number;
}

/** Reads a backup to its end without restoring it. Throws ContainerError, and what `open` throws. */
export function checkBackup(open: OpenBackup): Promise<Contents> {
  return readContainer(open(), {});
}

/**
 * Checks whether this version, with these master keys, can restore the backup. Throws ContainerError for its schema, ConfigError for a
 * missing key.
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

/** Restores a backup. Throws ConfigError when the database isn't empty, ContainerError, and what `open` throws; nothing is changed then. */
export function restore(o: {
  ownerUrl: string;
  open: OpenBackup;
  header: Header;
  /** Whether calls of all agents are refused until somebody resumes them. */
  suspendAgents: boolean;
  /** Called with the number of bytes of rows written so far. */
  onProgress?: (bytes: number) => void;
}): Promise<Restored> {
  return withOwner(o.ownerUrl, async (sql) => {
    // A service that starts meanwhile waits for this lock, and then finds everything or nothing.
    await sql`set lock_timeout = '60s'`;
    await sql`select pg_advisory_lock(${LOCK.migrations})`;
    await refuseUsed(sql, o.header);
    return transact(sql, (transaction) => restoreWithin(transaction, o)).catch((error: unknown) => {
      throw contentProblem(error) ?? error;
    });
  });
}

/** The error as a ContainerError, if it is about a value or a constraint (SQLSTATE classes 22 and 23), since those come from the backup. */
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
  // Delete rows that migrations have inserted: the backup has them, too.
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

/** Names from the backup become part of statements, and anyone with the public key can make a backup. So only known names may pass. */
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
      // The "error" event reports a failure.
      await new Promise<void>((resolve) => void stream.write(bytes, () => resolve()));
      onProgress?.((written += bytes.length));
    },
    async endTable() {
      if (copying === undefined) throw new Error("rows of no table");
      const { stream } = copying;
      copying = undefined;
      stream.end();
      await new Promise((resolve) => setImmediate(resolve));
      // The package does not report a COPY that fails at its end. But the transaction has failed then, so the next statement fails.
      await sql`select 1`.catch(() => {
        throw failed();
      });
    },
  });
}

/** Suspends all agents of all workspaces, and records it in the audit of each workspace. */
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

export interface AuditState {
  readonly workspaces: number;
  /** The number of leaves of all trees. */
  readonly leaves: number;
  /** How many leaves have the event that was sealed. */
  readonly events: number;
  /** The problems found, a sentence each. */
  readonly problems: readonly string[];
}

/** Verifies the audit of every workspace of a database. `publicKey`: of the service's logs. */
export function verifyAudit(ownerUrl: string, publicKey: Uint8Array): Promise<AuditState> {
  return withOwner(ownerUrl, (sql) =>
    transact(
      sql,
      async (transaction) => {
        const workspaces = await transaction<{ id: string }[]>`
        select distinct workspace_id as id from x3sproxy.audit_checkpoints`;
        let [leaves, events] = [0, 0];
        const problems: string[] = [];
        for (const { id } of workspaces) {
          const state = await verifyTree(transaction, id, publicKey);
          leaves += state.size;
          events += state.events;
          if (state.problem !== undefined) problems.push(`workspace ${id}: ${state.problem}`);
        }
        return { workspaces: workspaces.length, leaves, events, problems };
      },
      { isolation: "isolation level repeatable read, read only" },
    ),
  );
}
