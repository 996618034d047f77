// The database: who may do what in it, whether it tells of changes, and what of people and upkeep is only known there. As the owner, and
// reads only.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { lastBackupAt } from "../backup/index.ts";
import type { Config } from "../config.ts";
import { withOwner, type Sql } from "../db/index.ts";
import { codeOf, type Findings } from "./finding.ts";
import { isLoopback } from "./settings.ts";

const CLOCK_MS = 5000;
const NOTIFY_MS = 5000;
const BACKUP_DAYS = 7;
const DAY_MS = 86_400_000;

/** Gives the origins that keys are saved for; undefined when the database can't be asked. */
export async function checkDatabase(
  config: Config,
  findings: Findings,
  nowMs: () => number,
): Promise<string[] | undefined> {
  const ownerUrl = config.databaseUrl ?? (await embeddedUrl(config.dataDir));
  if (ownerUrl === undefined) {
    findings.skip("database", "the embedded database runs with the service: start it");
    return undefined;
  }
  checkTransport(config.databaseUrl, findings);
  try {
    return await withOwner(ownerUrl, async (sql) => {
      const [schema] = await sql<[{ there: boolean }]>`
        select to_regclass('x3sproxy.audit_pending') is not null as there`;
      if (!schema.there) {
        findings.skip("schema", "the database has not this version's schema: x3sproxy migrate");
        return undefined;
      }
      await checkServer(sql, config, findings, nowMs);
      await checkRights(sql, findings);
      await checkNotifications(sql, findings);
      await checkPeople(sql, config, findings);
      await checkUpkeep(sql, findings, nowMs());
      const origins = await sql<{ origin: string }[]>`
        select distinct v.origin from x3sproxy.secrets s
        join x3sproxy.secret_versions v on v.secret_id = s.id and v.version = s.active_version`;
      return origins.map(({ origin }) => origin);
    });
  } catch (error) {
    findings.add("Database", "critical", "database", {
      what: `The database can't be used (${codeOf(error)}).`,
      why: "Without it no new token is known and nothing can be changed.",
      fix: "Look at the server of DATABASE_URL, its user and password; then x3sproxy migrate",
    });
    return undefined;
  }
}

/** Of the embedded server, while it runs. */
async function embeddedUrl(dataDir: string): Promise<string | undefined> {
  try {
    // PostgreSQL manual, 67.1: the fourth line of postmaster.pid is the port.
    const lines = (await readFile(join(dataDir, "postgres", "postmaster.pid"), "utf8")).split("\n");
    const password = (await readFile(join(dataDir, "postgres-password"), "utf8")).trim();
    const port = Number(lines[3]);
    return `postgres://x3sproxy:${password}@127.0.0.1:${port}/postgres`;
  } catch {
    return undefined;
  }
}

function checkTransport(databaseUrl: string | undefined, findings: Findings): void {
  const url = URL.parse(databaseUrl ?? "");
  if (url === null || url.hostname === "" || isLoopback(url.hostname)) {
    findings.ok("Database", "database-tls", "The database is on this machine.");
    return;
  }
  const mode = url.searchParams.get("sslmode") ?? "disable";
  if (/^verify-/.test(mode) || url.searchParams.has("sslrootcert")) {
    findings.ok(
      "Database",
      "database-tls",
      "The way to the database is TLS, and its certificate is verified.",
    );
    return;
  }
  findings.add("Database", "warning", "database-tls", {
    what: `The way to the database is ${mode === "require" ? "TLS without a look at its certificate" : "not surely TLS"} (sslmode=${mode}).`,
    why: "Whoever is on that network can read hashes and what agents do, or pose as the database.",
    fix: "DATABASE_URL=postgres://…?sslmode=verify-full (sslrootcert=<file> for an authority of your own)",
  });
}

async function checkServer(
  sql: Sql,
  config: Config,
  findings: Findings,
  nowMs: () => number,
): Promise<void> {
  const before = nowMs();
  const [server] = await sql<[{ at: Date; super: boolean; number: string }]>`
    select clock_timestamp() as at, rolsuper as super, current_setting('server_version_num') as number
    from pg_roles where rolname = current_user`;
  const offMs = server.at.getTime() - (before + nowMs()) / 2;
  if (Math.abs(offMs) > CLOCK_MS) {
    findings.add("Machine", "critical", "clock", {
      what: `This machine's clock and the database's are ${Math.round(Math.abs(offMs) / 1000)} s apart.`,
      why: "Codes of second factors are refused, and tokens end at the wrong time.",
      fix: "Let both follow a time server: timedatectl set-ntp true",
    });
  } else findings.ok("Machine", "clock", "The clock is that of the database.");
  if (server.super && config.databaseUrl !== undefined) {
    findings.add("Database", "warning", "database-superuser", {
      what: "The service connects as a superuser of the database server.",
      why: "Whoever gets hold of DATABASE_URL has the whole server.",
      fix: "create role x3sproxy_owner login createrole; alter database … owner to x3sproxy_owner; and name that one in DATABASE_URL",
    });
  } else findings.ok("Database", "database-superuser", "The owner's rights end at its database.");
}

async function checkRights(sql: Sql, findings: Findings): Promise<void> {
  const tables = await sql<{ name: string }[]>`
    select relname as name from pg_class
    where relnamespace = 'x3sproxy'::regnamespace and relkind in ('r', 'v', 'm', 'p')
      and has_table_privilege('x3sproxy_proxy', oid, 'select, insert, update, delete')`;
  const strong = await sql<{ name: string }[]>`
    select rolname as name from pg_roles
    where rolname ~ '^x3sproxy_(control|proxy)' and (rolsuper or rolbypassrls or rolcreaterole)`;
  if (tables.length + strong.length > 0) {
    findings.add("Database", "critical", "role-rights", {
      what: `The service's own logins may do too much: ${[...tables, ...strong].map(({ name }) => name).join(", ")}.`,
      why: "The data plane's login alone must yield nothing, and each stays within its workspace.",
      fix: "revoke all on all tables in schema x3sproxy from x3sproxy_proxy; alter role … nosuperuser nobypassrls nocreaterole",
    });
  } else findings.ok("Database", "role-rights", "The logins have just their rights.");
  const strangers = await sql<{ name: string }[]>`
    select rolname as name from pg_roles r
    where has_schema_privilege(r.oid, 'x3sproxy', 'usage') and not rolsuper and rolname !~ '^(x3sproxy_(control|proxy)|pg_)'
      and r.oid <> (select nspowner from pg_namespace where nspname = 'x3sproxy')
    order by rolname`;
  if (strangers.length > 0) {
    findings.add("Database", "warning", "other-roles", {
      what: `Others have a way into the schema: ${strangers.map(({ name }) => name).join(", ")}.`,
      why: "Whoever can write there can give themselves the use of keys.",
      fix: `revoke all on schema x3sproxy from ${strangers[0]?.name ?? "…"} (or take pg_read_all_data from them)`,
    });
  } else findings.ok("Database", "other-roles", "Nobody else has a way into the schema.");
}

async function checkNotifications(sql: Sql, findings: Findings): Promise<void> {
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

async function checkPeople(sql: Sql, config: Config, findings: Findings): Promise<void> {
  const [row] = await sql<
    [{ bare: string; lax: string; links: string; bootstrap: Date | null; has_bootstrap: boolean }]
  >`
    select
      (select count(*) from x3sproxy.users u where role in ('owner', 'admin')
        and not exists (select from x3sproxy.second_factors f where f.user_id = u.id)) as bare,
      (select count(*) from x3sproxy.workspaces w where not second_factor_required
        and exists (select from x3sproxy.users u where u.workspace_id = w.id)) as lax,
      (select count(*) from x3sproxy.setup_links where expires_at > now()) as links,
      (select max(last_used_at) from x3sproxy.api_keys where name = 'bootstrap') as bootstrap,
      exists (select from x3sproxy.api_keys where name = 'bootstrap') as has_bootstrap`;
  if (Number(row.bare) > 0) {
    findings.add("Access", "critical", "second-factors", {
      what: `Owners and admins without a second factor: ${row.bare}.`,
      why: "Their password alone is enough to replace keys and let others in.",
      fix: "Let them enrol one (dashboard, your account), then: x3sproxy workspace set --second-factor required",
    });
  } else findings.ok("Access", "second-factors", "Every owner and admin has a second factor.");
  if (Number(row.lax) > 0) {
    findings.add("Access", "warning", "second-factor-rule", {
      what: `Workspaces that don't ask for a second factor: ${row.lax}.`,
      why: "Whoever is invited next can do without.",
      fix: "x3sproxy workspace set --second-factor required",
    });
  } else findings.ok("Access", "second-factor-rule", "Workspaces ask for a second factor.");
  if (Number(row.links) > 0) {
    findings.add("Access", "critical", "setup-link", {
      what: "A link that makes the first user of a workspace is still good.",
      why: "Whoever has it, from a terminal or a log, becomes an owner.",
      fix: "Open the link and make that user; a new start of the service ends the old link of the home workspace",
    });
  } else findings.ok("Access", "setup-link", "No setup link is open.");
  if (row.has_bootstrap) {
    findings.add("Access", "warning", "bootstrap-key", {
      what: `The API key that the first start made still works${row.bootstrap === null ? "" : ", and was used"}.`,
      why: `It is an owner's, without an end, and lies in ${config.dataDir}/admin-api-key.`,
      fix: "Make API keys with a role, an end and addresses; then delete the key `bootstrap` in the dashboard, and the file",
    });
  } else findings.ok("Access", "bootstrap-key", "The first start's API key is gone.");
}

async function checkUpkeep(sql: Sql, findings: Findings, nowMs: number): Promise<void> {
  const last = await lastBackupAt(sql);
  const days = last === undefined ? undefined : (nowMs - last.getTime()) / DAY_MS;
  if (days === undefined || days > BACKUP_DAYS) {
    findings.add("Upkeep", "warning", "backup-age", {
      what:
        days === undefined
          ? "There was no backup yet."
          : `The last backup is ${Math.floor(days)} days old.`,
      why: "What is lost with the database can't be had again: agents, users, and all keys.",
      fix: "x3sproxy backup --output x3sproxy.age --recipient age1…, every day (docs/backup.md)",
    });
  } else findings.ok("Upkeep", "backup-age", "The last backup is younger than a week.");
  const [row] = await sql<[{ late: string; keys: string }]>`
    select (select count(*) from x3sproxy.audit_pending where created_at < now() - interval '1 minute') as late,
      (select count(distinct key_id) from (
        select key_id from x3sproxy.secret_versions union all select key_id from x3sproxy.second_factors
        union all select key_id from x3sproxy.sealed_keys) sealed) as keys`;
  if (Number(row.late) > 0) {
    findings.add("Upkeep", "critical", "audit-sealing", {
      what: `Events of the audit that have not been sealed for a minute or more: ${row.late}.`,
      why: "The service doesn't run, or the tree was edited: then its log says that the audit can't be sealed.",
      fix: "Start the service, and look in its log for the audit",
    });
  } else findings.ok("Upkeep", "audit-sealing", "The audit is sealed.");
  if (Number(row.keys) > 1) {
    findings.add("Upkeep", "note", "master-keys", {
      what: `Rows are sealed under ${row.keys} master keys.`,
      why: "An old key can be put away only when nothing is sealed under it any more.",
      fix: "x3sproxy master-key rotate",
    });
  } else findings.ok("Upkeep", "master-keys", "All is sealed under one master key.");
}
