// Sessions: each has two random values, one for the cookie and one for the dashboard's origin; a row stores the hash of both. Every
// function works within the caller's transaction and returns the values once. A session must never outlive its twelve hours.
import { record, type Actor } from "../audit/index.ts";
import type { TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import { newId, newSessionValue, SESSION_PREFIX, SESSION_SECRET_PREFIX } from "../platform/ids.ts";
import { digestSession } from "./credentials.ts";
import { userTarget, type Client, type Person, type SessionCredential } from "./caller.ts";

const MAX_PER_USER = 100;
/** How many ended sessions are deleted at most when one starts. */
const MAX_ENDED = 100;
const USER_AGENT_LENGTH = 300;

/** Starts a session and records the sign-in. `method`: how the user proved who it is. */
export async function startSession(
  sql: TransactionSql,
  user: { id: string; workspaceId: string; email: string },
  client: Client,
  method: string,
): Promise<SessionCredential> {
  const credential = newCredential();
  const { id, workspaceId, email } = user;
  const userAgent = client.userAgent?.slice(0, USER_AGENT_LENGTH) ?? null;
  await sql`
    delete from x3sproxy.sessions where id in (
      select id from x3sproxy.sessions
      where workspace_id = ${workspaceId} and ends_at < now()
      order by ends_at limit ${MAX_ENDED} for update skip locked)`;
  await sql`
    delete from x3sproxy.sessions where id in (
      select id from x3sproxy.sessions
      where user_id = ${id} and last_seen_at < now() - interval '30 minutes' for update skip locked)`;
  await sql`
    delete from x3sproxy.sessions where id in (
      select id from x3sproxy.sessions where user_id = ${id} order by created_at desc offset ${MAX_PER_USER - 1})`;
  await sql`
    insert into x3sproxy.sessions (id, workspace_id, user_id, hash, address, user_agent)
    values (${newId()}, ${workspaceId}, ${id}, ${digestSession(credential)}, ${client.address}, ${userAgent})`;
  await sql`update x3sproxy.users set last_sign_in_at = now() where id = ${id}`;
  const { address } = client;
  const actor: Actor = { workspaceId, kind: "user", id, name: email, address, method };
  await record(sql, actor, { action: "user.sign_in", target: userTarget(user) });
  return credential;
}

/**
 * Gives a session a new id and a new credential; the old one stops working. `proves`: the session also becomes fresh. Throws
 * RequestError 401 `unauthenticated` when the session has ended meanwhile, so that the transaction changes nothing.
 */
export async function renewSession(
  sql: TransactionSql,
  { session }: Person,
  { proves }: { proves: boolean },
): Promise<SessionCredential> {
  const credential = newCredential();
  const { count } = await sql`
    with old as (delete from x3sproxy.sessions where id = ${session.id} returning *)
    insert into x3sproxy.sessions
      (id, workspace_id, user_id, hash, created_at, proved_at, ends_at, address, user_agent)
    select ${newId()}, workspace_id, user_id, ${digestSession(credential)}, created_at,
      case when ${proves} then now() else proved_at end, ends_at, address, user_agent
    from old`;
  if (count === 1) return credential;
  throw new RequestError(401, "unauthenticated", "This session has ended. Sign in again.");
}

/** Ends all sessions of a user except the one with the id `except`. */
export async function endSessions(
  sql: TransactionSql,
  userId: string,
  except: string | null = null,
): Promise<void> {
  await sql`
    delete from x3sproxy.sessions where user_id = ${userId} and id is distinct from ${except}::uuid`;
}

function newCredential(): SessionCredential {
  return {
    value: newSessionValue(SESSION_PREFIX),
    secret: newSessionValue(SESSION_SECRET_PREFIX),
  };
}
