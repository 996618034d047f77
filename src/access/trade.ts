// Trading a registration for a token: a function of the database does it in one transaction, this asks it. The new token is made here,
// and only its hash goes there. Must never log either token.
import { z } from "zod";
import type { Pool } from "../db/index.ts";
import { PROXY_TOKEN_PREFIX, hashBearer, newBearer } from "../ids.ts";
import { errorFields, type Log } from "../log.ts";

// As many connections of the pool as trades may hold: look-ups of tokens go through the same pool.
const MAX_AT_ONCE = 2;
const MAX_WAITING = 500;

const traded = z.object({
  workspaceId: z.guid(),
  agentId: z.guid(),
  agentName: z.string(),
  environment: z.string(),
  deployment: z.int(),
  /** Of the token, milliseconds since the Unix epoch; null: none. */
  expiresAtMs: z.int().nullable(),
  /** The only providers that the agent may use; null: every one. */
  providers: z.array(z.string()).nullable(),
  /** Of its workspace, by name. */
  customProviders: z.array(z.string()),
});

/** The agent's new deployment, and its token: the only time that it is told. */
export type Traded = z.infer<typeof traded> & { readonly token: string };

/**
 * Trades a registration's token for a proxy token, once. `address`: where the call came from, for the audit. Never rejects. With
 * `store_unavailable` or `overloaded` the registration is as it was, unless the database's answer was lost.
 */
export type Trade = (
  registrationToken: string,
  address: string | undefined,
) => Promise<Traded | "registration_invalid" | "store_unavailable" | "overloaded">;

/** `pool`: the proxy role's. */
export function createTrade({ pool, log }: { pool: Pool; log: Log }): Trade {
  const waiting: ((storeWorks: boolean) => void)[] = [];
  let free = MAX_AT_ONCE;

  return async (registrationToken, address) => {
    if (free > 0) free--;
    else if (waiting.length >= MAX_WAITING) return "overloaded";
    else if (!(await new Promise<boolean>((resolve) => waiting.push(resolve)))) {
      return "store_unavailable";
    }
    try {
      const token = newBearer(PROXY_TOKEN_PREFIX);
      const [from, to] = [registrationToken, token].map((it) =>
        Buffer.from(hashBearer(it), "hex"),
      ) as [Buffer, Buffer];
      // A transaction, so that a registration that is told to be as it was isn't used up later.
      const rows = await pool.transaction(
        (sql) => sql<{ row: unknown }[]>`
          select x3sproxy.trade_registration(${from}, ${to}, ${address ?? null}) as row`,
      );
      const row = rows[0]?.row ?? null;
      return row === null ? "registration_invalid" : { ...traded.parse(row), token };
    } catch (error) {
      for (const turnAway of waiting.splice(0)) turnAway(false);
      log.warn("a registration could not be traded", errorFields(error));
      return "store_unavailable";
    } finally {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next(true);
    }
  };
}
