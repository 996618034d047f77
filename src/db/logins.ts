// The two login roles of a database, for the control plane and the data plane. Their rights come from the group roles in sql/. Must send
// a SCRAM verifier and never a password, since a statement can end up in the server's log.
import { createHash, createHmac, hash, pbkdf2Sync, randomBytes } from "node:crypto";
import { ConfigError } from "../platform/errors.ts";
import { codeOf } from "../platform/unknown-values.ts";
import { type OwnerSql, type Sql, type TransactionSql, withOwner } from "./connection.ts";
import { withUser } from "./database-url.ts";
import { LOCK } from "./locks.ts";
import { transact } from "./transactions.ts";

type Role = "control" | "proxy";

// Enough for a few dozen processes. Bounds what someone with a stolen login can exhaust.
const CONNECTION_LIMIT = 64;
const INSUFFICIENT_PRIVILEGE = "42501";

/**
 * Creates or updates the two login roles with the passwords of `password(role)`, and resolves to their URLs. Safe when many processes
 * start at once. Throws ConfigError with the SQL to run when the owner may not create roles.
 */
export function prepareLogins(
  ownerUrl: string,
  password: (role: Role) => string,
): Promise<{ controlUrl: string; proxyUrl: string }> {
  return withOwner(ownerUrl, async (sql) => {
    const [row] = await sql<{ database: string }[]>`select current_database() as database`;
    const database = row?.database ?? "";
    const prepare = async (role: Role): Promise<string> => {
      const login = loginName(role, database);
      await prepareLogin(sql, { login, group: `x3sproxy_${role}`, database }, password(role));
      return withUser(ownerUrl, login, password(role));
    };
    try {
      return { controlUrl: await prepare("control"), proxyUrl: await prepare("proxy") };
    } catch (error) {
      if (codeOf(error) !== INSUFFICIENT_PRIVILEGE) throw error;
      throw await mayNotMakeRoles(sql);
    }
  });
}

/** The name of a role's login for this database. It includes a hash of the database's name, since roles belong to the whole server. */
export function loginName(role: Role, database: string): string {
  return `x3sproxy_${role}_${hash("sha256", database, "hex").slice(0, 8)}`;
}

async function prepareLogin(
  sql: OwnerSql,
  { login, group, database }: { login: string; group: string; database: string },
  password: string,
): Promise<void> {
  // These statements take no parameters. Name and verifier have no characters that need escaping.
  const attributes = `login inherit connection limit ${CONNECTION_LIMIT} password '${scramVerifier(password)}'`;
  await transact(sql, async (transaction) => {
    await transaction`select pg_advisory_xact_lock(${LOCK.logins})`;
    const [found] = await transaction`select from pg_roles where rolname = ${login}`;
    const verb = found === undefined ? "create" : "alter";
    await transaction.unsafe(`${verb} role ${login} ${attributes}`);
    await grant(transaction, { login, group, database });
  });
}

async function grant(
  sql: TransactionSql,
  { login, group, database }: { login: string; group: string; database: string },
): Promise<void> {
  await sql`grant ${sql(group)} to ${sql(login)}`;
  // The group's rights apply in every database of the server, so logins of other databases must not connect to this one.
  await sql`revoke connect, temporary on database ${sql(database)} from public`;
  await sql`grant connect on database ${sql(database)} to ${sql(login)}`;
}

/** The error with the statements that an administrator has to run when our database user may not create the roles. */
export async function mayNotMakeRoles(sql: Sql): Promise<ConfigError> {
  const [row] = await sql<{ owner: string; groups: boolean }[]>`
    select quote_ident(current_user) as owner,
      exists (select from pg_roles where rolname = 'x3sproxy_control') as groups`;
  const owner = row?.owner ?? "";
  const statements = [`alter role ${owner} createrole;`];
  if (row?.groups === true) {
    statements.push(`grant x3sproxy_control, x3sproxy_proxy to ${owner} with admin option;`);
  }
  return new ConfigError(
    `DATABASE_URL: the user ${owner} may not make the database roles of the service. ` +
      `Let an administrator of the server run: ${statements.join(" ")}`,
  );
}

const ITERATIONS = 4096;
const SALT_BYTES = 16;

/**
 * The SCRAM-SHA-256 verifier of a password (RFC 5802, 3; RFC 7677), as Postgres stores it:
 * `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`. `password` has to be ASCII, so that SASLprep changes nothing.
 */
export function scramVerifier(password: string, salt: Buffer = randomBytes(SALT_BYTES)): string {
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, "sha256");
  const hmac = (text: string): Buffer => createHmac("sha256", salted).update(text).digest();
  const storedKey = createHash("sha256").update(hmac("Client Key")).digest("base64");
  const serverKey = hmac("Server Key").toString("base64");
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString("base64")}$${storedKey}:${serverKey}`;
}

/**
 * Revokes from PUBLIC what the login roles don't need: large objects, advisory locks, ending other sessions, logical messages. Only for
 * the embedded database, which is all ours: in another one it would affect other applications (docs/threat-model.md). `ownerUrl`: the
 * superuser of a migrated database. Safe to repeat.
 */
export function revokePublicRights(ownerUrl: string): Promise<void> {
  return withOwner(ownerUrl, async (sql) => {
    await sql
      .unsafe(
        `
        do $$
        declare f regprocedure;
        begin
          for f in
            select p.oid from pg_catalog.pg_proc p
            where p.pronamespace = 'pg_catalog'::regnamespace and has_function_privilege('public', p.oid, 'execute')
              and (p.proname ~ '^(lo_|pg_(try_)?advisory_)' or p.proname in ('loread', 'lowrite', 'pg_cancel_backend',
                'pg_terminate_backend', 'pg_logical_emit_message', 'pg_export_snapshot'))
          loop
            execute format('revoke execute on function %s from public', f);
          end loop;
        end $$;
        grant execute on function pg_catalog.pg_advisory_xact_lock(bigint), pg_catalog.pg_try_advisory_xact_lock(bigint)
          to x3sproxy_control`,
      )
      .simple();
  });
}
