// The rows of secrets and of their versions: finds, locks and changes them within the caller's transaction. Must never read a sealed
// value.
import { record, type Action, type Actor } from "../audit/index.ts";
import { searchWords, type TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import { newId } from "../platform/ids.ts";
import { builtInProviders } from "../providers/index.ts";

export interface SecretView {
  id: string;
  provider: string;
  environment: string;
  label: string;
  /** The origin to which the active version may be sent. */
  origin: string;
  /** The active version. */
  version: number;
  masked: string;
  /** The version that no call uses yet and that can be activated or discarded. */
  candidate: number | null;
  /** ISO 8601. */
  createdAt: string;
  /** When the active version was saved, ISO 8601. */
  updatedAt: string;
}

/** Which secrets to list; a secret has to meet every condition given. */
export interface SecretFilter {
  /** Words. Each has to occur in the provider's name or title, the environment or the label; upper and lower case are the same. */
  readonly query?: string | undefined;
  readonly provider?: string | undefined;
  readonly environment?: string | undefined;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Records a change of a secret in the audit. */
export async function recordChange(
  sql: TransactionSql,
  by: Actor,
  action: Action,
  before: SecretView | undefined,
  after: SecretView | undefined,
): Promise<void> {
  const secret = after ?? before;
  if (secret === undefined) return;
  const name = `${secret.provider}/${secret.environment}`;
  const target = { kind: "secret", id: secret.id, name };
  await record(sql, by, { action, target, before, after });
}

/** The id of the secret, which is created if it is new, and an unused version number. Locks the row until the transaction ends. */
export async function claimVersion(
  sql: TransactionSql,
  workspaceId: string,
  provider: string,
  environment: string,
): Promise<{ secretId: string; workspaceId: string; version: number }> {
  const [secret] = await sql<[{ secretId: string; workspaceId: string }]>`
    insert into x3sproxy.secrets as s (id, workspace_id, provider, environment, active_version, last_version)
    values (${newId()}, ${workspaceId}, ${provider}, ${environment}, 1, 0)
    on conflict (workspace_id, provider, environment) do update set last_version = s.last_version
    returning id as "secretId", workspace_id as "workspaceId"`;
  // A process of an older release counts the rows and does not update `last_version`.
  const [next] = await sql<[{ version: number }]>`
    update x3sproxy.secrets s set last_version = greatest(s.last_version, (
      select max(v.version) from x3sproxy.secret_versions v where v.secret_id = s.id)) + 1
    where s.id = ${secret.secretId} returning last_version as version`;
  return { ...secret, ...next };
}

/** Makes a version active, and sets the label if one is given. */
export async function activate(
  sql: TransactionSql,
  workspaceId: string,
  secretId: string,
  version: number,
  label?: string,
): Promise<SecretView> {
  await sql`
    update x3sproxy.secrets
    set active_version = ${version}, label = coalesce(${label ?? null}, label),
      candidate_version = nullif(candidate_version, ${version})
    where id = ${secretId} and workspace_id = ${workspaceId}`;
  return find(sql, workspaceId, secretId);
}

/** Deletes the candidate, if there is one, and records that in the audit. Its number is never used again. */
export async function dropCandidate(
  sql: TransactionSql,
  by: Actor,
  before: SecretView,
): Promise<SecretView> {
  if (before.candidate === null) return before;
  await sql`
    update x3sproxy.secrets set candidate_version = null
    where id = ${before.id} and workspace_id = ${by.workspaceId}`;
  await sql`
    delete from x3sproxy.secret_versions where secret_id = ${before.id} and version = ${before.candidate}`;
  const after = { ...before, candidate: null };
  await recordChange(sql, by, "secret.discard", before, after);
  return after;
}

/** Locks the secret's row until the transaction ends. A separate statement, so that the next one sees what the lock waited for. */
export async function lock(
  sql: TransactionSql,
  workspaceId: string,
  secretId: string,
): Promise<void> {
  if (!UUID.test(secretId)) return;
  await sql`
    select from x3sproxy.secrets where id = ${secretId} and workspace_id = ${workspaceId} for update`;
}

/** Throws RequestError 404 `secret_not_found`. */
export async function find(
  sql: TransactionSql,
  workspaceId: string,
  secretId: string,
): Promise<SecretView> {
  const rows = UUID.test(secretId)
    ? await sql<SecretRow[]>`
        ${views(sql)} where s.id = ${secretId} and s.workspace_id = ${workspaceId}`
    : [];
  const [row] = rows;
  if (row === undefined) {
    throw new RequestError(404, "secret_not_found", "There is no such secret.");
  }
  return toView(row);
}

export type SecretRow = Omit<SecretView, "createdAt" | "updatedAt"> & {
  createdAt: Date;
  updatedAt: Date;
};

export function views(sql: TransactionSql) {
  return sql`
    select s.id, s.provider, s.environment, s.label, v.origin, v.version, v.mask as masked,
      s.candidate_version as candidate, s.created_at as "createdAt", v.created_at as "updatedAt"
    from x3sproxy.secrets s
    join x3sproxy.secret_versions v on v.secret_id = s.id and v.version = s.active_version`;
}

export function toView(row: SecretRow): SecretView {
  return {
    ...row,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

/** The conditions of a filter, each with its `and`. */
export function filterConditions(
  sql: TransactionSql,
  { query, provider, environment }: SecretFilter,
) {
  return sql`
    ${provider === undefined ? sql`` : sql`and s.provider = ${provider}`}
    ${environment === undefined ? sql`` : sql`and s.environment = ${environment}`}
    ${searchWords(query).reduce(
      (all, word) => sql`${all}
        and (strpos(s.provider, ${word}) > 0 or s.provider = any (${providersTitled(word)}::text[])
          or strpos(s.environment, ${word}) > 0 or strpos(lower(s.label), ${word}) > 0)`,
      sql``,
    )}`;
}

function providersTitled(word: string): string[] {
  return [...builtInProviders.values()]
    .filter(({ title }) => title.toLowerCase().includes(word))
    .map(({ name }) => name);
}
