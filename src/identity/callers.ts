// Authenticates API keys and sessions. Every request asks the database, so that a revoked credential stops working at once. Must give
// the same answer for every invalid credential.
import type { Role } from "../contract/index.ts";
import type { Pool } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import { API_KEY_PREFIX } from "../platform/ids.ts";
import { holds } from "../platform/addresses.ts";
import { requestsInPostgres } from "../limits/index.ts";
import { digest, digestSession, isBearer, isSession } from "./credentials.ts";
import type { Caller, Client, Person, SessionCredential } from "./caller.ts";
import type { Verifications } from "./credentials.ts";

export interface Callers {
  /**
   * The caller that owns a live API key; undefined for any other text. Throws RequestError: 403 `address_not_allowed`, 429
   * `too_many_requests`, 503 `busy`.
   */
  authenticateApiKey(key: string, client: Client, o?: Options): Promise<Caller | undefined>;
  /** The user of a live session; undefined for anything else. Throws RequestError 503 `busy`. */
  authenticateSession(
    credential: SessionCredential,
    client: Client,
    o?: Options,
  ): Promise<Person | undefined>;
}

interface Options {
  /** Whether the request is for an emergency action: limits on requests do not refuse it. */
  readonly emergency?: boolean;
}

interface KeyRow {
  id: string;
  workspace_id: string;
  name: string;
  role: Role;
  agents: string[] | null;
  allowed_addresses: string[];
  limited: boolean;
  used_lately: boolean;
}

interface SessionRow {
  id: string;
  user_id: string;
  workspace_id: string;
  email: string;
  role: Role;
  agents: string[] | null;
  proved_at: Date;
  ends_at: Date;
  fresh: boolean;
  must_enrol: boolean;
}

/** `pool`: of the control role. */
export function createCallers(o: { pool: Pool; verifications: Verifications }): Callers {
  const { pool, verifications } = o;

  /**
   * Counts a request against the key's limit, and updates the time of its last use at most once a minute. False: the key has ended
   * meanwhile. Over the limit it counts nothing, and throws RequestError 429 `too_many_requests` unless `emergency`.
   */
  async function count({ id, workspace_id }: KeyRow, emergency: boolean): Promise<boolean> {
    const state = await pool.inWorkspace(workspace_id, async (sql) => {
      const { usedUntil, isAdmitted, waitS } = requestsInPostgres(sql);
      const { count: counted } = await sql`
        update x3sproxy.api_keys set
          last_used_at = case when last_used_at > now() - interval '1 minute' then last_used_at else now() end,
          used_until = coalesce(${usedUntil}, used_until)
        where id = ${id} and ${isAdmitted}`;
      if (counted > 0) return { waitS: 0 };
      const [row] = await sql<{ waitS: number }[]>`
        select ${waitS} as "waitS" from x3sproxy.api_keys where id = ${id}`;
      return row;
    });
    if (state === undefined || state.waitS === 0 || emergency) return state !== undefined;
    throw new RequestError(
      429,
      "too_many_requests",
      "This API key has used up its requests for now.",
      { retryAfterS: state.waitS },
    );
  }

  return {
    async authenticateApiKey(key, { address, network }, { emergency = false } = {}) {
      if (!isBearer(key, API_KEY_PREFIX)) return undefined;
      const hash = digest(key);
      const row = await verifications.verify({
        ...{ hash, network, emergency },
        find: () =>
          first(
            pool.query(
              (sql) => sql<KeyRow[]>`
          select * from x3sproxy.authenticate_api_key(${hash})`,
            ),
          ),
      });
      if (row === undefined) return undefined;
      if (row.allowed_addresses.length > 0 && !holds(row.allowed_addresses, address)) {
        throw new RequestError(
          403,
          "address_not_allowed",
          "This API key can't be used from this address.",
        );
      }
      if ((row.limited || !row.used_lately) && !(await count(row, emergency))) return undefined;
      const { id, workspace_id: workspaceId, name, role, agents } = row;
      return { kind: "api_key", id, workspaceId, name, role, agents, mustEnrol: false };
    },

    async authenticateSession(credential, { network }, { emergency = false } = {}) {
      if (!isSession(credential)) return undefined;
      const hash = digestSession(credential);
      const row = await verifications.verify({
        ...{ hash, network, emergency },
        find: () =>
          first(
            pool.query(
              (sql) => sql<SessionRow[]>`
          select * from x3sproxy.authenticate_session(${hash})`,
            ),
          ),
      });
      return row && personOf(row);
    },
  };
}

async function first<Row>(rows: Promise<Iterable<Row>>): Promise<Row | undefined> {
  const [row] = await rows;
  return row;
}

function personOf(row: SessionRow): Person {
  return {
    kind: "user",
    id: row.user_id,
    name: row.email,
    workspaceId: row.workspace_id,
    role: row.role,
    agents: row.agents,
    mustEnrol: row.must_enrol,
    session: {
      id: row.id,
      provedAt: row.proved_at.toISOString(),
      fresh: row.fresh,
      endsAt: row.ends_at.toISOString(),
    },
  };
}
