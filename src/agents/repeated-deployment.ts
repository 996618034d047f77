// Repeated deployments: a caller that got no answer sends the same idempotency key again and gets the same token. Must never store a token:
// the vault derives it again, one way. Of the key and its request, only hashes are stored, for a day.
import { hash } from "node:crypto";
import type { Actor } from "../audit/index.ts";
import type { TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import { PROXY_TOKEN_PREFIX } from "../platform/ids.ts";
import type { Vault } from "../vault/index.ts";
import type { ScopeChange } from "./scope-change.ts";

/** What is left out stays as it was. For a new agent it is what the workspace gives new agents, and the token has no end. */
export interface Deployment extends ScopeChange {
  name: string;
  /** The token's life; null: no end. */
  ttlMs?: number | null | undefined;
}

const KEPT_MS = 24 * 3_600_000;
/** How many expired claims are deleted with each that is made. */
const MAX_FORGOTTEN = 100;

/** A caller's request under an idempotency key. Both hashes are SHA-256 (FIPS 180-4) in lower-case hex. */
export interface Claim {
  readonly keyHash: string;
  readonly requestHash: string;
}

/** The deployment that a claim led to. */
export interface MadeDeployment {
  readonly agentId: string;
  readonly deployment: number;
  /** Wall clock. The token is derived from it, too: after a backup is restored, a deployment's number is used again, but not its token. */
  readonly atMs: number;
}

/** The caller is a part of it: the same key of another caller is another claim. */
export function claimOf(by: Actor, idempotencyKey: string, d: Deployment): Claim {
  const { name, environment, providers, allowedEndpoints, ttlMs } = d;
  const { rules, addresses, models, scopeExpiresAt, limits } = d;
  return {
    keyHash: hashOf([by.kind, by.id, idempotencyKey]),
    requestHash: hashOf({
      ...{ name, environment, providers, allowedEndpoints, ttlMs },
      ...{ rules, addresses, models, scopeExpiresAt, limits },
    }),
  };
}

/**
 * What was made under the claim in the last 24 hours. Locks the claim until the transaction ends: of two requests at once, the second finds
 * what the first has made. Throws RequestError 409 if the key was used for another request.
 */
export async function madeBefore(
  sql: TransactionSql,
  by: Actor,
  { keyHash, requestHash }: Claim,
  nowMs: number,
): Promise<MadeDeployment | undefined> {
  const lock = `x3sproxy deployment ${by.workspaceId} ${keyHash}`;
  await sql`select pg_advisory_xact_lock(hashtextextended(${lock}, 0))`;
  await forget(sql, by.workspaceId, keyHash, new Date(nowMs - KEPT_MS));
  const [row] = await sql<
    { request_hash: Buffer; agent_id: string; deployment: number; created_at: Date }[]
  >`
    select request_hash, agent_id, deployment, created_at from x3sproxy.deployment_requests
    where workspace_id = ${by.workspaceId} and key_hash = ${Buffer.from(keyHash, "hex")}`;
  if (row === undefined) return undefined;
  if (row.request_hash.toString("hex") !== requestHash) {
    throw new RequestError(
      409,
      "idempotency_conflict",
      "This idempotency key was given with another request. Take a new key for each deployment.",
    );
  }
  return { agentId: row.agent_id, deployment: row.deployment, atMs: row.created_at.getTime() };
}

/**
 * Deletes the claim, and some others, if they were made before `until`. One transaction at a time deletes others, so that two that each hold
 * a claim never wait for each other.
 */
async function forget(
  sql: TransactionSql,
  workspaceId: string,
  keyHash: string,
  until: Date,
): Promise<void> {
  await sql`
    delete from x3sproxy.deployment_requests
    where workspace_id = ${workspaceId} and key_hash = ${Buffer.from(keyHash, "hex")} and created_at < ${until}`;
  const lock = `x3sproxy forgotten deployments ${workspaceId}`;
  const [turn] = await sql<{ isMine: boolean }[]>`
    select pg_try_advisory_xact_lock(hashtextextended(${lock}, 0)) as "isMine"`;
  if (turn?.isMine !== true) return;
  await sql`
    delete from x3sproxy.deployment_requests
    where workspace_id = ${workspaceId} and key_hash = any (array(
      select key_hash from x3sproxy.deployment_requests
      where workspace_id = ${workspaceId} and created_at < ${until}
      order by created_at limit ${MAX_FORGOTTEN}))`;
}

/** Remembers what was made under the claim; in the transaction that makes it. */
export async function remember(
  sql: TransactionSql,
  by: Actor,
  { keyHash, requestHash }: Claim,
  { agentId, deployment, atMs }: MadeDeployment,
): Promise<void> {
  await sql`
    insert into x3sproxy.deployment_requests
      (workspace_id, key_hash, request_hash, agent_id, deployment, created_at)
    values (${by.workspaceId}, ${Buffer.from(keyHash, "hex")}, ${Buffer.from(requestHash, "hex")},
      ${agentId}, ${deployment}, ${new Date(atMs)})`;
}

/** The token of a deployment that was made under a claim. */
export function tokenOf(
  vault: Pick<Vault, "deriveBearer">,
  by: Actor,
  claim: Claim,
  { agentId, deployment, atMs }: MadeDeployment,
): string {
  return vault.deriveBearer(PROXY_TOKEN_PREFIX, [
    "deployment",
    by.workspaceId,
    claim.keyHash,
    agentId,
    String(deployment),
    String(atMs),
  ]);
}

function hashOf(value: object): string {
  return hash("sha256", JSON.stringify(value), "hex");
}
