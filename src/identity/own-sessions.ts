// A user's own sessions: lists and ends them. Must never touch the sessions of another user.
import { record } from "../audit/index.ts";
import { createdUs, momentOf, type Page, type Pool } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import { actorFrom, type Client, type Person } from "./caller.ts";
import { LATEST, type LatestFirst, type Placed } from "./latest-first.ts";
import { endSessions } from "./sessions.ts";

export interface SessionView {
  id: string;
  /** Whether it is the session of this request. */
  current: boolean;
  /** This and the following times: ISO 8601. */
  createdAt: string;
  lastSeenAt: string;
  endsAt: string;
  address: string | null;
  userAgent: string | null;
}

export interface OwnSessions {
  /** Live sessions, the latest first. */
  list(person: Person, page: Page<LatestFirst>): Promise<Placed<SessionView>[]>;
  /** Throws RequestError 404 `session_not_found`. */
  end(person: Person, sessionId: string, client: Client): Promise<void>;
  endOthers(person: Person, client: Client): Promise<void>;
}

interface SessionRow {
  id: string;
  created_at: Date;
  created_us: string;
  last_seen_at: Date;
  ends_at: Date;
  address: string | null;
  user_agent: string | null;
}

export function createOwnSessions({ pool }: { pool: Pool }): OwnSessions {
  return {
    async list({ workspaceId, id: userId, session }, { limit, after: [us, id] = LATEST }) {
      const rows = await pool.inWorkspace(
        workspaceId,
        (sql) => sql<SessionRow[]>`
          select id, created_at, last_seen_at, ends_at, address, user_agent, ${createdUs(sql)} as created_us
          from x3sproxy.sessions
          where user_id = ${userId} and ends_at > now() and last_seen_at > now() - interval '30 minutes'
            and (created_at, id) < (${momentOf(sql, us)}, ${id}::uuid)
          order by created_at desc, id desc limit ${limit}`,
      );
      return rows.map((row) => ({
        id: row.id,
        current: row.id === session.id,
        createdAt: row.created_at.toISOString(),
        lastSeenAt: row.last_seen_at.toISOString(),
        endsAt: row.ends_at.toISOString(),
        address: row.address,
        userAgent: row.user_agent,
        place: [row.created_us, row.id],
      }));
    },

    end: (person, sessionId, client) =>
      pool.inWorkspace(person.workspaceId, async (sql) => {
        const { count } = await sql`
          delete from x3sproxy.sessions where id = ${sessionId} and user_id = ${person.id}`;
        if (count === 0) {
          throw new RequestError(404, "session_not_found", "There is no such session.");
        }
        const target = { kind: "session", id: sessionId, name: person.name };
        await record(sql, actorFrom(person, client), { action: "session.end", target });
      }),

    endOthers: (person, client) =>
      pool.inWorkspace(person.workspaceId, async (sql) => {
        await endSessions(sql, person.id, person.session.id);
        const target = { kind: "session", id: "others", name: person.name };
        await record(sql, actorFrom(person, client), { action: "session.end", target });
      }),
  };
}
