// Deployments that may be asked for twice: a caller that got no answer sends the same idempotency key again and gets the token of the
// deployment that was made. No token is kept for that: it is derived anew, one way, by the vault. Of a key and its request only
// hashes are kept, for a day.
import { hash } from "node:crypto";
import type { Actor } from "../audit/index.ts";
import type { TransactionSql } from "../db/index.ts";
import { RequestError } from "../errors.ts";
import { PROXY_TOKEN_PREFIX } from "../ids.ts";
import type { Vault } from "../vault/index.ts";
import type { Deployment } from "./agents.ts";

const KEPT_MS = 24 * 3_600_000;
/** Of those that have had their time as many go with each that comes. */
const MAX_FORGOTTEN = 100;

/** A request for a deployment, under a key of its caller's. Both are SHA-256 (FIPS 180-4), lower-case hex. */
export interface Claim {
  readonly keyHash: string;
  readonly requestHash: string;
}

/** A deployment that was made under a claim. */
export interface MadeDeployment {
  readonly agentId: string;
  readonly deployment: number;
  /** Wall clock. In the token's derivation, so that numbers that are used again (after a restored backup) give no token again. */
  readonly atMs: number;
}

/** The same key of another caller is another claim. */
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
 * What was made under the claim within the last 24 hours. Holds the claim until the transaction ends, so that of two at once the
 * second finds what the first has made. Throws RequestError 409 when the key was given with another request.
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
 * Deletes the claim itself if it was made before `until`, and some others that were. One at a time does the latter: who held one claim
 * and waited for another could be waited for.
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
