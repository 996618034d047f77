// Trading a registration for a token: a function of the database does it in one transaction, this asks it. The new token is made here,
// and only its hash goes there. Who waits for a turn shares the room by network: a stranger's tries keep nobody else's container from
// its token. Must never log either token.
import { z } from "zod";
import { clientNetwork } from "../addresses.ts";
import type { Clock } from "../clock.ts";
import type { Pool } from "../db/index.ts";
import { createFairQueue } from "../fair-queue.ts";
import { PROXY_TOKEN_PREFIX, hashBearer, newBearer } from "../ids.ts";
import { errorFields, type Log } from "../log.ts";

// As many connections of the pool as trades may hold: look-ups of tokens go through the same pool. One network may have half of the room.
const QUEUE = { places: 2, room: 1_000 };
const WAIT_MS = 4_000;

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
) => Promise<TradeOutcome>;

type TradeOutcome = Traded | "registration_invalid" | "store_unavailable" | "overloaded";

export interface Trades {
  readonly trade: Trade;
  /** Turns away who has waited for too long. To be called about once a second. */
  tick(): void;
}

/** `pool`: the proxy role's. */
export function createTrade(o: { pool: Pool; clock: Clock; log: Log }): Trades {
  const { pool, clock, log } = o;
  const queue = createFairQueue(QUEUE);
  let failures = 0;

  async function trade(
    registrationToken: string,
    address: string | undefined,
  ): Promise<TradeOutcome> {
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
      failures += 1;
      log.warn("a registration could not be traded", errorFields(error));
      return "store_unavailable";
    }
  }

  return {
    trade(registrationToken, address) {
      const { promise, resolve } = Promise.withResolvers<TradeOutcome>();
      const failuresBefore = failures;
      const hasRoom = queue.enter(clientNetwork(address ?? ""), {
        untilMs: clock.monotonicMs() + WAIT_MS,
        begin() {
          if (failures === failuresBefore) return trade(registrationToken, address).then(resolve);
          resolve("store_unavailable");
          return undefined;
        },
        turnAway: () => resolve("overloaded"),
      });
      if (!hasRoom) resolve("overloaded");
      return promise;
    },
    tick: () => queue.expire(clock.monotonicMs()),
  };
}
