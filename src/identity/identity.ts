// Authentication of programs by API key, and the making of the first user. Must answer every bad credential alike.
import type { Pool } from "../db/index.ts";
import { RequestError } from "../errors.ts";
import { API_KEY_PREFIX, newId, SETUP_TOKEN_PREFIX } from "../ids.ts";
import { digest, isBearer } from "./bearers.ts";
import { createPasswordHasher } from "./passwords.ts";
import type { Role } from "./roles.ts";

export interface ApiKey {
  readonly id: string;
  readonly workspaceId: string;
  readonly name: string;
  readonly role: Role;
}

export interface Identity {
  /** Whom a live API key belongs to; undefined for any other text. */
  authenticateApiKey(key: string): Promise<ApiKey | undefined>;
  /**
   * Makes the first user, an owner, with the token of a setup link. The link is used up only when the user is made.
   * Throws RequestError: 401 `setup_link_invalid` (unknown, used and expired alike), 422 for the password, 503.
   */
  createFirstUser(user: {
    setupToken: string;
    email: string;
    password: string;
  }): Promise<{ id: string; workspaceId: string; email: string }>;
}

/** `pool` has the rights of the control role. */
export function createIdentity({ pool }: { pool: Pool }): Identity {
  const passwords = createPasswordHasher();
  return {
    async authenticateApiKey(key) {
      if (!isBearer(key, API_KEY_PREFIX)) return undefined;
      const rows = await pool.query(
        (sql) => sql<ApiKey[]>`
          select id, workspace_id as "workspaceId", name, role
          from x3sproxy.authenticate_api_key(${digest(key)})`,
      );
      return rows[0];
    },

    async createFirstUser({ setupToken, email, password }) {
      if (!isBearer(setupToken, SETUP_TOKEN_PREFIX)) throw invalidLink();
      return pool.query((sql) =>
        sql.begin(async (tx) => {
          // Redeemed before the password is hashed: only the holder of a live link costs us a hash, and a second
          // one waits here for the row until the first has committed.
          const [link] = await tx<{ workspaceId: string | null }[]>`
            select x3sproxy.redeem_setup_link(${digest(setupToken)}) as "workspaceId"`;
          const workspaceId = link?.workspaceId;
          if (workspaceId == null) throw invalidLink();
          await tx`select set_config('x3sproxy.workspace', ${workspaceId}, true)`;
          const id = newId();
          const passwordHash = await passwords.hash(password);
          const made = await tx`
            insert into x3sproxy.users (id, workspace_id, email, password_hash, role)
            select ${id}, ${workspaceId}, ${email}, ${passwordHash}, 'owner'
            where not exists (select from x3sproxy.users)`;
          if (made.count === 0) throw invalidLink();
          return { id, workspaceId, email };
        }),
      );
    },
  };
}

function invalidLink(): RequestError {
  return new RequestError(
    401,
    "setup_link_invalid",
    "This setup link is not valid: it was used, has expired, or a later start of the service made a new one. " +
      "While there is no user, each start prints a new link.",
  );
}
