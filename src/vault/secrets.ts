// The secrets of a workspace for the control plane: saves, lists, rolls back and deletes them. Every change is one transaction
// confined to its workspace. Must never read a sealed value back, nor return more of a key than its mask.
import type { Actor } from "../audit/index.ts";
import { type Page, type Pool, type TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import { builtInProviders } from "../providers/index.ts";
import { mask, refuseDescription, refuseLabel, refuseMistakes } from "./secret-input.ts";
import {
  destinationOf,
  misplacements,
  type Destination,
  type Misplacement,
} from "./secret-origin.ts";
import {
  activate,
  claimVersion,
  dropCandidate,
  filterConditions,
  find,
  lock,
  recordChange,
  toView,
  views,
  type SecretFilter,
  type SecretRow,
  type SecretView,
} from "./secret-rows.ts";
import type { Vault } from "./strongroom.ts";

export interface SecretVersionView {
  version: number;
  active: boolean;
  /** Whether it has never been active, and can be activated or discarded. */
  candidate: boolean;
  masked: string;
  origin: string;
  /** ISO 8601. */
  createdAt: string;
}

export interface NewSecret {
  provider: string;
  environment: string;
  /** Without it an existing secret keeps its label. */
  label?: string;
  /** Only for a provider that gives each customer an origin. */
  origin?: string;
  value: string;
}

/**
 * Every change is recorded in the audit. Every function rejects with RequestError for a mistake of the caller, and with
 * StoreUnavailableError when the database can't be reached.
 */
export interface Secrets {
  /** Saves a key: a new secret, or a new version of the one for that provider and environment, active at once. */
  set(by: Actor, secret: NewSecret): Promise<SecretView>;
  /**
   * Saves a key as a candidate: no call uses it until it is activated. It replaces an earlier candidate. The label changes only on
   * activation. The first key for a provider and environment is active at once, since no earlier key could stay active. `refusal`:
   * why there can't be a candidate now. It is thrown, unless this is the first key.
   */
  propose(
    by: Actor,
    secret: NewSecret,
    refusal?: RequestError,
  ): Promise<{ secret: SecretView; version: number }>;
  /**
   * Makes the candidate active. Throws RequestError 409 `candidate_gone` when `version` isn't the candidate, and `candidate_outdated`
   * when the provider's origin, header or scheme has changed since it was sealed.
   */
  activate(by: Actor, secretId: string, version: number, label?: string): Promise<SecretView>;
  /** Deletes the candidate. Throws RequestError 409 `candidate_gone` when `version` isn't the candidate. */
  discard(by: Actor, secretId: string, version: number): Promise<SecretView>;
  /** Sorted by provider and environment. */
  list(
    workspaceId: string,
    page?: Page<readonly [provider: string, environment: string]>,
    filter?: SecretFilter,
  ): Promise<SecretView[]>;
  /** How many secrets pass the filter. */
  count(workspaceId: string, filter: SecretFilter): Promise<number>;
  find(workspaceId: string, secretId: string): Promise<SecretView>;
  /** The latest first. */
  versions(workspaceId: string, secretId: string): Promise<SecretVersionView[]>;
  /** Those of the given secrets whose calls are refused because their provider was changed or removed, with the reason. */
  misplaced(
    workspaceId: string,
    secretIds: readonly string[],
  ): Promise<ReadonlyMap<string, Misplacement>>;
  /**
   * Makes an earlier active version active again: `toVersion`, by default the one before the active one. Throws RequestError 409
   * `version_outdated` when the provider's origin, header or scheme has changed since it was sealed.
   */
  rollback(by: Actor, secretId: string, toVersion?: number): Promise<SecretView>;
  /** Deletes the secret with all its versions; resolves to the deleted secret. */
  delete(by: Actor, secretId: string): Promise<SecretView>;
}

/** `originProblem` says in a sentence why an origin may not be called, or undefined. */
export function createSecrets(o: {
  pool: Pool;
  vault: Vault;
  originOverrides: ReadonlyMap<string, string>;
  originProblem: (origin: string) => string | undefined;
}): Secrets {
  const { pool, vault } = o;

  async function save(
    by: Actor,
    secret: NewSecret,
    as: "active" | "candidate",
    refusal?: RequestError,
  ): Promise<{ secret: SecretView; version: number }> {
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
      const claimed = await claimVersion(sql, workspaceId, provider, environment);
      const { secretId, version } = claimed;
      // Read after `claimVersion` has locked the row: of two first keys saved at once the second one is version 2.
      const found = version === 1 ? undefined : await find(sql, workspaceId, secretId);
      const before = found && (await dropCandidate(sql, by, found));
      const place = { ...claimed, ...destination };
      const { keyId, wrappedKey, ciphertext } = vault.seal(place, value);
      await sql`
        insert into x3sproxy.secret_versions
          (secret_id, workspace_id, version, origin, header, scheme, key_id, wrapped_key, ciphertext, mask)
        values (${secretId}, ${workspaceId}, ${version}, ${origin}, ${header}, ${scheme},
          ${keyId}, ${wrappedKey}, ${ciphertext}, ${mask(value)})`;
      if (as === "candidate" && version > 1) {
        if (refusal !== undefined) throw refusal;
        await sql`
          update x3sproxy.secrets set candidate_version = ${version}
          where id = ${secretId} and workspace_id = ${workspaceId}`;
        const after = await find(sql, workspaceId, secretId);
        await recordChange(sql, by, "secret.propose", before, after);
        return { secret: after, version };
      }
      const after = await activate(sql, workspaceId, secretId, version, label);
      await recordChange(sql, by, "secret.set", before, after);
      return { secret: after, version };
    });
  }

  /** Whether a key saved now would be sealed for the same destination as this version. */
  async function hasCurrentDestination(
    sql: TransactionSql,
    { id, provider }: SecretView,
    workspaceId: string,
    version: number,
  ): Promise<boolean> {
    const [sealed] = await sql<Destination[]>`
      select origin, header, scheme from x3sproxy.secret_versions
      where secret_id = ${id} and version = ${version}`;
    if (sealed === undefined) throw new Error("the version of a secret is missing");
    try {
      const now = await destinationOf(
        ...([sql, workspaceId, provider, sealed.origin, o.originOverrides] as const),
      );
      return now.header === sealed.header && now.scheme === sealed.scheme;
    } catch (error) {
      if (error instanceof RequestError && error.code === "origin_fixed") return false;
      throw error;
    }
  }

  /** The secret, if `version` is its candidate. Locks its row until the transaction ends. */
  async function findByCandidate(
    sql: TransactionSql,
    workspaceId: string,
    secretId: string,
    version: number,
  ): Promise<SecretView> {
    await lock(sql, workspaceId, secretId);
    const view = await find(sql, workspaceId, secretId);
    if (view.candidate === version) return view;
    throw new RequestError(
      409,
      "candidate_gone",
      `Version ${version} isn't this key's candidate: it was activated, thrown away or replaced by another one. Version ${view.version} is active.`,
    );
  }

  return {
    set: async (by, secret) => (await save(by, secret, "active")).secret,
    propose: (by, secret, refusal) => save(by, secret, "candidate", refusal),

    activate: (by, secretId, version, label) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const { workspaceId } = by;
        refuseLabel(label ?? "");
        const before = await findByCandidate(sql, workspaceId, secretId, version);
        if (!(await hasCurrentDestination(sql, before, workspaceId, version))) {
          throw new RequestError(
            409,
            "candidate_outdated",
            "The provider's origin, header or scheme has changed since this key was saved, and it goes nowhere else. Save it again.",
          );
        }
        const after = await activate(sql, workspaceId, secretId, version, label);
        await recordChange(sql, by, "secret.activate", before, after);
        return after;
      }),

    discard: (by, secretId, version) =>
      pool.inWorkspace(by.workspaceId, async (sql) =>
        dropCandidate(sql, by, await findByCandidate(sql, by.workspaceId, secretId, version)),
      ),

    list: (workspaceId, page, filter = {}) =>
      pool.inWorkspace(workspaceId, async (sql) => {
        const after = page?.after;
        const rows = await sql<SecretRow[]>`
          ${views(sql)} where s.workspace_id = ${workspaceId}
            ${after === undefined ? sql`` : sql`and (s.provider, s.environment) > (${after[0]}, ${after[1]})`}
            ${filterConditions(sql, filter)}
          order by s.provider, s.environment
          ${page === undefined ? sql`` : sql`limit ${page.limit}`}`;
        return rows.map(toView);
      }),

    count: (workspaceId, filter) =>
      pool.inWorkspace(workspaceId, async (sql) => {
        const [row] = await sql<{ count: number }[]>`
          select count(*)::integer from x3sproxy.secrets s
          where s.workspace_id = ${workspaceId} ${filterConditions(sql, filter)}`;
        return row?.count ?? 0;
      }),

    find: (workspaceId, secretId) =>
      pool.inWorkspace(workspaceId, (sql) => find(sql, workspaceId, secretId)),

    versions: (workspaceId, secretId) =>
      pool.inWorkspace(workspaceId, async (sql) => {
        const { version: active, candidate } = await find(sql, workspaceId, secretId);
        const rows = await sql<(Omit<SecretVersionView, "createdAt"> & { createdAt: Date })[]>`
          select version, version = ${active} as active,
            version is not distinct from ${candidate}::integer as candidate, mask as masked, origin, created_at as "createdAt"
          from x3sproxy.secret_versions where secret_id = ${secretId} order by version desc`;
        return rows.map((row) => ({ ...row, createdAt: row.createdAt.toISOString() }));
      }),

    misplaced: (workspaceId, secretIds) =>
      pool.inWorkspace(workspaceId, (sql) =>
        misplacements(sql, workspaceId, secretIds, o.originOverrides),
      ),

    rollback: (by, secretId, toVersion) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const { workspaceId } = by;
        await lock(sql, workspaceId, secretId);
        const before = await find(sql, workspaceId, secretId);
        const { version: active } = before;
        const rows = await sql<{ version: number }[]>`
          select version from x3sproxy.secret_versions
          where secret_id = ${secretId} and version is distinct from ${before.candidate}::integer
          order by version desc`;
        if (toVersion !== undefined && toVersion === before.candidate) {
          throw new RequestError(
            409,
            "version_is_candidate",
            "This version has never been active: it is a candidate. Activate it.",
          );
        }
        const target = rows.find(({ version }) =>
          toVersion === undefined ? version < active : version === toVersion,
        );
        if (target !== undefined) {
          if (!(await hasCurrentDestination(sql, before, workspaceId, target.version))) {
            throw new RequestError(
              409,
              "version_outdated",
              `The provider's origin, header or scheme has changed since version ${target.version} was saved, and it goes nowhere else. ` +
                `Version ${active} stays active. Save the key again.`,
            );
          }
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
