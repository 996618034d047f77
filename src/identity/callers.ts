// From a credential to whom it belongs: API keys and sessions. Each request asks anew, so that what was ended has ended. Must
// answer every bad credential alike.
import type { Pool } from "../db/index.ts";
import { RequestError } from "../errors.ts";
import { API_KEY_PREFIX } from "../ids.ts";
import { holds } from "../addresses.ts";
import { digest, isBearer, isSessionValue } from "./bearers.ts";
import type { Caller, Client, Person } from "./caller.ts";
import type { Role } from "./roles.ts";

export interface Callers {
  /**
   * Whom a live API key belongs to; undefined for any other text. Throws RequestError: 403 `address_not_allowed`, 429
   * `too_many_requests`.
   */
  authenticateApiKey(key: string, client: Client): Promise<Caller | undefined>;
  /** Who is signed in with a live session; undefined for any other text. */
  authenticateSession(value: string): Promise<Person | undefined>;
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

/** `pool`: the control role's. */
export function createCallers({ pool }: { pool: Pool }): Callers {
  /**
   * Counts a request and notes the use, the latter at most once a minute. False: the key has ended meanwhile. Throws RequestError 429
   * `too_many_requests`: then nothing was counted or noted.
   */
  async function count({ id, workspace_id }: KeyRow): Promise<boolean> {
    const state = await pool.inWorkspace(workspace_id, async (sql) => {
      const share = sql`interval '1 microsecond' * (60000000 / requests_per_minute)`;
      const used = sql`greatest(used_until, now()) + ${share}`;
      const { count: counted } = await sql`
        update x3sproxy.api_keys set
          last_used_at = case when last_used_at > now() - interval '1 minute' then last_used_at else now() end,
          used_until = coalesce(${used}, used_until)
        where id = ${id} and coalesce(${used} <= now() + interval '1 minute', true)`;
      if (counted > 0) return { waitS: 0 };
      const [row] = await sql<{ waitS: number }[]>`
        select greatest(1, ceil(extract(epoch from ${used} - interval '1 minute' - now())))::integer as "waitS"
        from x3sproxy.api_keys where id = ${id}`;
      return row;
    });
    if (state === undefined || state.waitS === 0) return state !== undefined;
    throw new RequestError(
      429,
      "too_many_requests",
      "This API key has used up its requests for now.",
      { retryAfterS: state.waitS },
    );
  }

  return {
    async authenticateApiKey(key, { address }) {
      if (!isBearer(key, API_KEY_PREFIX)) return undefined;
      const [row] = await pool.query(
        (sql) => sql<KeyRow[]>`select * from x3sproxy.authenticate_api_key(${digest(key)})`,
      );
      if (row === undefined) return undefined;
      if (row.allowed_addresses.length > 0 && !holds(row.allowed_addresses, address)) {
        throw new RequestError(
          403,
          "address_not_allowed",
          "This API key can't be used from this address.",
        );
      }
      if ((row.limited || !row.used_lately) && !(await count(row))) return undefined;
      const { id, workspace_id: workspaceId, name, role, agents } = row;
      return { kind: "api_key", id, workspaceId, name, role, agents, mustEnrol: false };
    },

    async authenticateSession(value) {
      if (!isSessionValue(value)) return undefined;
      const [row] = await pool.query(
        (sql) => sql<SessionRow[]>`select * from x3sproxy.authenticate_session(${digest(value)})`,
      );
      return row && personOf(row);
    },
  };
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
