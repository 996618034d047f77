// The secrets of a workspace, as the control plane sees them: saved, listed masked, rolled back, deleted. Every change
// is one transaction confined to its workspace. Must never read a sealed value back, nor return more than its mask.
import { record, type Action, type Actor } from "../audit/index.ts";
import type { Page, Pool, TransactionSql } from "../db/index.ts";
import { RequestError } from "../errors.ts";
import { newId } from "../ids.ts";
import { builtInProviders } from "../providers/index.ts";
import { VISIBLE_LINE } from "../visible-text.ts";
import { refuseMistakes } from "./key-mistakes.ts";
import { mask } from "./mask.ts";
import { destinationOf } from "./secret-origin.ts";
import type { Vault } from "./strongroom.ts";

export interface SecretView {
  id: string;
  provider: string;
  environment: string;
  label: string;
  /** Where the active version may be sent. */
  origin: string;
  /** The active version. */
  version: number;
  masked: string;
  /** ISO 8601. */
  createdAt: string;
  /** When the active version was saved, ISO 8601. */
  updatedAt: string;
}

export interface SecretVersionView {
  version: number;
  active: boolean;
  masked: string;
  origin: string;
  /** ISO 8601. */
  createdAt: string;
}

export interface NewSecret {
  provider: string;
  environment: string;
  /** Absent: an existing secret keeps its own. */
  label?: string;
  /** For a provider whose customers have an origin each. */
  origin?: string;
  value: string;
}

/** Which secrets a list is about; all that is given has to hold. */
export interface SecretFilter {
  /** In its provider's name, its environment's or its label, upper and lower case alike. */
  readonly query?: string | undefined;
  readonly provider?: string | undefined;
  readonly environment?: string | undefined;
}

/** Every change is recorded in the audit. Every verb rejects with RequestError for a mistake of the caller, StoreUnavailableError when the database is away. */
export interface Secrets {
  /** Saves a key: a new secret, or a new version of the one for that provider and environment, active at once. */
  set(by: Actor, secret: NewSecret): Promise<SecretView>;
  /** By provider and environment. */
  list(
    workspaceId: string,
    page?: Page<readonly [provider: string, environment: string]>,
    filter?: SecretFilter,
  ): Promise<SecretView[]>;
  /** How many such a list has, over all pages. */
  count(workspaceId: string, filter: SecretFilter): Promise<number>;
  find(workspaceId: string, secretId: string): Promise<SecretView>;
  /** Latest first. */
  versions(workspaceId: string, secretId: string): Promise<SecretVersionView[]>;
  /** Makes another version active: `toVersion`, or the one before the active one. */
  rollback(by: Actor, secretId: string, toVersion?: number): Promise<SecretView>;
  /** Deletes the secret with all its versions; resolves with what it was. */
  delete(by: Actor, secretId: string): Promise<SecretView>;
}

const ENVIRONMENT = /^[a-z0-9][a-z0-9-]{0,62}$/;
const MAX_LABEL = 200;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** `originProblem` says in a sentence why an origin may not be called, or undefined. */
export function createSecrets(o: {
  pool: Pool;
  vault: Vault;
  originOverrides: ReadonlyMap<string, string>;
  originProblem: (origin: string) => string | undefined;
}): Secrets {
  const { pool, vault } = o;

  return {
    async set(by, secret) {
      const { workspaceId } = by;
      refuseMistakes(builtInProviders.get(secret.provider), secret.value);
      refuseDescription(secret);
      return pool.inWorkspace(workspaceId, async (sql) => {
        const { provider, environment, label, value } = secret;
        const destination = await destinationOf(
          ...([sql, workspaceId, provider, secret.origin, o.originOverrides] as const),
        );
        const { origin, header, scheme } = destination;
        const problem = o.originProblem(origin);
        if (problem !== undefined) throw new RequestError(422, "origin_refused", problem);
        const before = await existing(sql, workspaceId, provider, environment);
        const place = {
          ...(await claimVersion(sql, workspaceId, provider, environment, label)),
          ...destination,
        };
        const { keyId, wrappedKey, ciphertext } = vault.seal(place, value);
        await sql`
          insert into x3sproxy.secret_versions
            (secret_id, workspace_id, version, origin, header, scheme, key_id, wrapped_key, ciphertext, mask)
          values (${place.secretId}, ${place.workspaceId}, ${place.version}, ${origin}, ${header}, ${scheme},
            ${keyId}, ${wrappedKey}, ${ciphertext}, ${mask(value)})`;
        const after = await activate(sql, workspaceId, place.secretId, place.version);
        await recordChange(sql, by, "secret.set", before, after);
        return after;
      });
    },

    list: (workspaceId, page, filter = {}) =>
      pool.inWorkspace(workspaceId, async (sql) => {
        const after = page?.after;
        const rows = await sql<SecretRow[]>`
          ${views(sql)} where s.workspace_id = ${workspaceId}
            ${after === undefined ? sql`` : sql`and (s.provider, s.environment) > (${after[0]}, ${after[1]})`}
            ${fitting(sql, filter)}
          order by s.provider, s.environment
          ${page === undefined ? sql`` : sql`limit ${page.limit}`}`;
        return rows.map(toView);
      }),

    count: (workspaceId, filter) =>
      pool.inWorkspace(workspaceId, async (sql) => {
        const [row] = await sql<{ count: number }[]>`
          select count(*)::integer from x3sproxy.secrets s
          where s.workspace_id = ${workspaceId} ${fitting(sql, filter)}`;
        return row?.count ?? 0;
      }),

    find: (workspaceId, secretId) =>
      pool.inWorkspace(workspaceId, (sql) => find(sql, workspaceId, secretId)),

    versions: (workspaceId, secretId) =>
      pool.inWorkspace(workspaceId, async (sql) => {
        const { version: active } = await find(sql, workspaceId, secretId);
        const rows = await sql<(Omit<SecretVersionView, "createdAt"> & { createdAt: Date })[]>`
          select version, version = ${active} as active, mask as masked, origin, created_at as "createdAt"
          from x3sproxy.secret_versions where secret_id = ${secretId} order by version desc`;
        return rows.map((row) => ({ ...row, createdAt: row.createdAt.toISOString() }));
      }),

    rollback: (by, secretId, toVersion) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const { workspaceId } = by;
        await lock(sql, workspaceId, secretId);
        const before = await find(sql, workspaceId, secretId);
        const { version: active } = before;
        const rows = await sql<{ version: number }[]>`
          select version from x3sproxy.secret_versions where secret_id = ${secretId} order by version desc`;
        const target = rows.find(({ version }) =>
          toVersion === undefined ? version < active : version === toVersion,
        );
        if (target !== undefined) {
          const after = await activate(sql, workspaceId, secretId, target.version);
          await recordChange(sql, by, "secret.rollback", before, after);
          return after;
        }
        throw toVersion === undefined
          ? new RequestError(
              409,
              "no_earlier_version",
              "There is no version before the active one.",
            )
          : new RequestError(404, "version_not_found", "The secret has no such version.");
      }),

    delete: (by, secretId) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const { workspaceId } = by;
        await lock(sql, workspaceId, secretId);
        const view = await find(sql, workspaceId, secretId);
        await sql`delete from x3sproxy.secrets where id = ${secretId} and workspace_id = ${workspaceId}`;
        await recordChange(sql, by, "secret.delete", view, undefined);
        return view;
      }),
  };
}

async function recordChange(
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

/** The secret for a provider and environment as it is. Holds its row until the transaction ends. */
async function existing(
  sql: TransactionSql,
  workspaceId: string,
  provider: string,
  environment: string,
): Promise<SecretView | undefined> {
  const [row] = await sql<{ id: string }[]>`
    select id from x3sproxy.secrets
    where workspace_id = ${workspaceId} and provider = ${provider} and environment = ${environment}
    for update`;
  return row === undefined ? undefined : find(sql, workspaceId, row.id);
}

/** The secret's id, made if need be, and its next version number. Holds the row until the transaction ends. */
async function claimVersion(
  sql: TransactionSql,
  workspaceId: string,
  provider: string,
  environment: string,
  label: string | undefined,
): Promise<{ secretId: string; workspaceId: string; version: number }> {
  const [secret] = await sql<[{ secretId: string; workspaceId: string }]>`
    insert into x3sproxy.secrets (id, workspace_id, provider, environment, label, active_version)
    values (${newId()}, ${workspaceId}, ${provider}, ${environment}, ${label ?? ""}, 1)
    on conflict (workspace_id, provider, environment)
      do update set label = coalesce(${label ?? null}, secrets.label)
    returning id as "secretId", workspace_id as "workspaceId"`;
  const [next] = await sql<[{ version: number }]>`
    select coalesce(max(version), 0) + 1 as version
    from x3sproxy.secret_versions where secret_id = ${secret.secretId}`;
  return { ...secret, ...next };
}

async function activate(
  sql: TransactionSql,
  workspaceId: string,
  secretId: string,
  version: number,
): Promise<SecretView> {
  await sql`
    update x3sproxy.secrets set active_version = ${version}
    where id = ${secretId} and workspace_id = ${workspaceId}`;
  return find(sql, workspaceId, secretId);
}

/** Holds the secret's row until the transaction ends. A statement of its own: what follows sees what it waited for. */
async function lock(sql: TransactionSql, workspaceId: string, secretId: string): Promise<void> {
  if (!UUID.test(secretId)) return;
  await sql`
    select from x3sproxy.secrets where id = ${secretId} and workspace_id = ${workspaceId} for update`;
}

async function find(
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

type SecretRow = Omit<SecretView, "createdAt" | "updatedAt"> & { createdAt: Date; updatedAt: Date };

function views(sql: TransactionSql) {
  return sql`
    select s.id, s.provider, s.environment, s.label, v.origin, v.version, v.mask as masked,
      s.created_at as "createdAt", v.created_at as "updatedAt"
    from x3sproxy.secrets s
    join x3sproxy.secret_versions v on v.secret_id = s.id and v.version = s.active_version`;
}

function fitting(sql: TransactionSql, { query, provider, environment }: SecretFilter) {
  const text = query?.toLowerCase();
  return sql`
    ${provider === undefined ? sql`` : sql`and s.provider = ${provider}`}
    ${environment === undefined ? sql`` : sql`and s.environment = ${environment}`}
    ${
      text === undefined
        ? sql``
        : sql`and (strpos(s.provider, ${text}) > 0 or strpos(s.environment, ${text}) > 0
            or strpos(lower(s.label), ${text}) > 0)`
    }`;
}

function toView(row: SecretRow): SecretView {
  return {
    ...row,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

function refuseDescription({ environment, label = "", value }: NewSecret): void {
  if (!ENVIRONMENT.test(environment)) {
    throw new RequestError(
      422,
      "environment_malformed",
      "An environment's name has up to 63 lower-case letters, digits and dashes, as in production.",
    );
  }
  if (label.length > MAX_LABEL || !VISIBLE_LINE.test(label)) {
    throw new RequestError(
      422,
      "label_malformed",
      `A label is one line of up to ${MAX_LABEL} visible characters.`,
    );
  }
  if (label.includes(value)) {
    throw new RequestError(422, "label_has_key", "The label holds the key itself. Take it out.");
  }
}
