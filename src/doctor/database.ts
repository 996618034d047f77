// Checks the database: whether the service can use it, how it is reached, and what only it knows. Connects as the owner; reads only.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../platform/config.ts";
import {
  appliedMigrations,
  isLocal,
  knownMigrations,
  readDatabaseUrl,
  transact,
  withDeadline,
  withOwner,
  type OwnerSql,
  type Sql,
} from "../db/index.ts";
import { failureOf, saidBy, type Findings } from "./finding.ts";
import { checkMasterKey } from "./master-key.ts";
import { checkPeople } from "./people.ts";
import { checkRights, RIGHTS_IDS } from "./rights.ts";
import { checkContent, CONTENT_IDS, skipHeld } from "./schema-content.ts";
import { checkTrustedProxies } from "./trusted-proxies.ts";
import { checkUpkeep } from "./upkeep.ts";

const CLOCK_MS = 5000;
const NOTIFY_MS = 3000;
const SNAPSHOT = { isolation: "isolation level repeatable read, read only" } as const;

/** Facts that only the database knows. */
const INSIDE = [
  ...[
    "schema",
    "clock",
    "database-superuser",
    ...RIGHTS_IDS,
    ...CONTENT_IDS,
    "master-key-opens",
    "notifications",
  ],
  ...["second-factors", "second-factor-rule", "setup-link", "bootstrap-key"],
  ...["backup-age", "audit-sealing", "master-keys", "trusted-direct"],
];

/** `withinMs`: how long all queries together may take. `offline`: ask no other service. */
interface Patience {
  readonly nowMs: () => number;
  readonly withinMs: number;
  readonly offline: boolean;
}

/** Resolves to the origins for which keys are saved. Undefined if the database can't be asked. */
export async function checkDatabase(
  config: Config,
  findings: Findings,
  patience: Patience,
): Promise<string[] | undefined> {
  const isOwn = config.databaseUrl === undefined;
  let origins: string[] | undefined;
  try {
    checkTransport(config.databaseUrl, findings);
    const ownerUrl = config.databaseUrl ?? (await embeddedUrl(config.dataDir));
    if (ownerUrl !== undefined) {
      origins = await withOwner(ownerUrl, (sql) =>
        withDeadline(patience.withinMs, () => ask(sql, config, findings, patience)),
      );
    } else {
      findings.add("Database", "critical", "database", {
        what: "The embedded database does not run, so that what is in it could not be looked at.",
        why: "Second factors, rights, the first start's key and backups are known only there.",
        fix: "Start the service (x3sproxy serve), and run doctor again beside it",
      });
    }
  } catch (error) {
    const said = saidBy(error) ?? `The database can't be used (${failureOf(error)}).`;
    findings.add("Database", "critical", "database", {
      what: isOwn ? said.replace(/^DATABASE_URL: t/, "T") : said,
      why: "Without it no new token is known and nothing can be changed.",
      fix: !isOwn
        ? "Mend DATABASE_URL, or the server that it leads to; when that is only slow, look whether something holds its tables"
        : /^E(ACCES|PERM)$/.test(failureOf(error))
          ? `Run doctor as the user that the service runs as: who owns ${config.dataDir}`
          : `Start the service again; postgres.log in ${config.dataDir} says what is wrong`,
    });
  }
  for (const id of INSIDE) {
    if (!findings.has(id)) findings.skip(id, "the database could not be asked");
  }
  return origins;
}

async function ask(
  sql: OwnerSql,
  config: Config,
  findings: Findings,
  { nowMs, offline }: Patience,
): Promise<string[] | undefined> {
  if (!(await checkSchema(sql, findings))) return undefined;
  await checkServer(sql, config, findings, nowMs);
  await transact(sql, (tx) => checkRights(tx, findings), SNAPSHOT);
  try {
    await transact(sql, (tx) => checkContent(tx, findings), SNAPSHOT);
  } catch (error) {
    if (!skipHeld(error, findings)) throw error;
  }
  await checkMasterKey(sql, config, findings, offline);
  await checkPeople(sql, config, findings);
  await checkUpkeep(sql, findings, nowMs());
  await checkTrustedProxies(sql, config, findings);
  await checkNotifications(sql, findings);
  const origins = await sql<{ origin: string }[]>`
    select distinct v.origin from x3sproxy.secrets s
    join x3sproxy.secret_versions v on v.secret_id = s.id and v.version = s.active_version`;
  findings.ok("Database", "database", "The database answers.");
  return origins.map(({ origin }) => origin);
}

/** The embedded server's URL, while it runs. */
async function embeddedUrl(dataDir: string): Promise<string | undefined> {
  try {
    // PostgreSQL manual, 67.1: the fourth line of postmaster.pid is the port.
    const lines = (await readFile(join(dataDir, "postgres", "postmaster.pid"), "utf8")).split("\n");
    const password = (await readFile(join(dataDir, "postgres-password"), "utf8")).trim();
    const port = Number(lines[3]);
    return port > 0 ? `postgres://x3sproxy:${password}@127.0.0.1:${port}/postgres` : undefined;
  } catch (error) {
    if (failureOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function checkTransport(databaseUrl: string | undefined, findings: Findings): void {
  const target = databaseUrl === undefined ? undefined : readDatabaseUrl(databaseUrl);
  if (target?.servers.length === 0) {
    findings.skip("database-tls", "DATABASE_URL names no host");
    return;
  }
  const remote = target?.servers.filter((server) => !isLocal(server)) ?? [];
  if (target === undefined || remote.length === 0) {
    findings.ok("Database", "database-tls", "The database is on this machine.");
    return;
  }
  const ways = remote.map((server) => target.tlsTo(server));
  if (ways.every((tls) => tls?.options.rejectUnauthorized === true)) {
    findings.ok(
      "Database",
      "database-tls",
      "The way to the database is TLS, and its certificate is verified.",
    );
    return;
  }
  const way = ways.includes(undefined)
    ? "is not TLS"
    : "is TLS without a look at the server's certificate";
  findings.add("Database", "warning", "database-tls", {
    what: `The way to the database ${way}.`,
    why: "Whoever is on that network can read hashes and what agents do, or pose as the database.",
    fix: "DATABASE_URL=postgres://…?sslmode=verify-full (sslrootcert=<file> for an authority of your own)",
  });
}

/** Whether the database's schema is this version's. */
async function checkSchema(sql: Sql, findings: Findings): Promise<boolean> {
  const applied = new Set((await appliedMigrations(sql)).map(({ name }) => name));
  const known = (await knownMigrations()).map(({ name }) => name);
  const lacking = known.filter((name) => !applied.has(name)).length;
  if (lacking === 0 && applied.size === known.length) {
    findings.ok("Database", "schema", "The schema is this version's.");
    return true;
  }
  findings.add("Database", "critical", "schema", {
    what:
      applied.size === 0
        ? "The database has no schema of the service yet."
        : lacking > 0
          ? `The database's schema is older than this version: it lacks ${lacking} migrations.`
          : "The database's schema is newer than this version.",
    why: "The rest of what is in the database could not be looked at.",
    fix:
      lacking > 0
        ? "x3sproxy migrate (or start the service), then run doctor again"
        : "Run doctor with the version that the service has",
  });
  return false;
}

async function checkServer(
  sql: Sql,
  config: Config,
  findings: Findings,
  nowMs: () => number,
): Promise<void> {
  const before = nowMs();
  const [server] = await sql<[{ at: Date; super: boolean }]>`
    select clock_timestamp() as at, rolsuper as super from pg_roles where rolname = current_user`;
  const offMs = server.at.getTime() - (before + nowMs()) / 2;
  if (Math.abs(offMs) > CLOCK_MS) {
    findings.add("Machine", "critical", "clock", {
      what: `This machine's clock and the database's are ${Math.round(Math.abs(offMs) / 1000)} s apart.`,
      why: "Codes of second factors are refused, and tokens end at the wrong time.",
      fix: "Let both follow a time server: timedatectl set-ntp true",
    });
  } else if (config.databaseUrl === undefined) {
    findings.skip("clock", "the embedded database has this machine's clock: nothing to compare");
  } else findings.ok("Machine", "clock", "The clock is that of the database.");
  if (config.databaseUrl === undefined) {
    findings.ok("Database", "database-superuser", "The database server is the service's own.");
  } else if (server.super) {
    findings.add("Database", "warning", "database-superuser", {
      what: "The service connects as a superuser of the database server.",
      why: "Whoever gets hold of DATABASE_URL has the whole server.",
      fix: "create role x3sproxy_owner login createrole; alter database … owner to x3sproxy_owner; and name that one in DATABASE_URL",
    });
  } else findings.ok("Database", "database-superuser", "The owner is no superuser of the server.");
}

async function checkNotifications(sql: OwnerSql, findings: Findings): Promise<void> {
  const heard = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => heard.resolve(false), NOTIFY_MS);
  try {
    const listening = sql.listen("x3sproxy_doctor", () => heard.resolve(true));
    listening.then(
      () => void sql`select pg_notify('x3sproxy_doctor', '')`.catch(() => undefined),
      () => heard.resolve(false),
    );
    if (await heard.promise) {
      findings.ok("Database", "notifications", "Notifications come through.");
      return;
    }
  } finally {
    clearTimeout(timer);
  }
  findings.add("Database", "critical", "notifications", {
    what: "Notifications of the database don't come through.",
    why: "A revoked token works for up to a minute, in place of a second. A pooler in transaction mode is the usual cause.",
    fix: "Let DATABASE_URL lead to the server itself, or to a pooler in session mode",
  });
}
