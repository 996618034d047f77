// From a token to what it may do: resolve, decide, watch. The data plane's only way to a grant. Unknown means no,
// and a failing store means no; nothing here lets a call through by default.
import type { Clock } from "../clock.ts";
import type { Changes, Pool } from "../db/index.ts";
import type { RefusalReason } from "../errors.ts";
import { hashBearer, isProxyToken } from "../ids.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Vault } from "../vault/index.ts";
import { parseGrant, type Grant } from "./grant.ts";
import { refusalOf, type CallFacts } from "./scope.ts";
import { createLookUps, type LookUp } from "./look-ups.ts";
import { createTokenCache } from "./token-cache.ts";
import { createWatches } from "./watches.ts";

const TICK_MS = 1_000;

export interface Access {
  /**
   * The grant of a live token, or why there is none; synchronously when it is remembered. A grant's secrets may be
   * wiped in a later turn of the event loop: inject in the turn in which the grant came. Never rejects.
   */
  resolve(token: string): Grant | RefusalReason | Promise<Grant | RefusalReason>;
  /**
   * Why the grant may not be used at all from `address` (undefined: unknown), or undefined: its agent is suspended, its scope has
   * ended, or the address is not one of its own.
   */
  admit(grant: Grant, address: string | undefined): RefusalReason | undefined;
  /** Why a grant that is admitted does not allow this call, or undefined. */
  decide(grant: Grant, call: CallFacts): RefusalReason | undefined;
  /**
   * Calls `onRevoked` once when the grant's token stops being live: revoked, expired, or not confirmed within 60 s.
   * Returns the unsubscribe.
   */
  watch(grant: Grant, onRevoked: () => void): () => void;
  /** Forgets every grant and stops watching. */
  close(): void;
}

/** `pool`: the proxy role's, which can do no more than ask what a token's hash resolves to. */
export function createAccess(o: {
  pool: Pool;
  changes: Changes;
  vault: Pick<Vault, "hold">;
  clock: Clock;
  log: Log;
  metrics: Metrics;
}): Access {
  const { pool, changes, vault, clock } = o;
  const cache = createTokenCache();
  const lookUps = createLookUps({
    ...o,
    cache,
    query: async (tokenHash) => {
      const hash = Buffer.from(tokenHash, "hex");
      const rows = await pool.query(
        (sql) => sql<{ row: unknown }[]>`select x3sproxy.resolve_token(${hash}) as row`,
      );
      return rows[0]?.row ?? null;
    },
    parse: (row, of) => parseGrant(row, { ...of, vault }),
  });
  const watches = createWatches({ cache, lookUps, clock });

  changes.onChange((change) => {
    if ("agentId" in change) {
      cache.forget(change.agentId);
      watches.suspect(change.agentId);
    } else {
      // Ends no token: whatever deletes one announces its agent.
      cache.forget(change.workspaceId);
    }
  });
  changes.onGap(() => {
    cache.forgetAll();
    watches.suspectAll();
  });

  const timer = setInterval(() => {
    cache.sweep(clock.monotonicMs());
    watches.tick();
  }, TICK_MS).unref();

  function unlessExpired(found: LookUp | "overloaded"): Grant | RefusalReason {
    if (typeof found === "string" || found.expiresAtMs === undefined) return found;
    return clock.nowMs() < found.expiresAtMs ? found : "expired_token";
  }

  return {
    resolve(token) {
      if (!isProxyToken(token)) return "malformed_token";
      const found = lookUps.find(hashBearer(token));
      return found instanceof Promise ? found.then(unlessExpired) : unlessExpired(found);
    },
    admit({ suspended, scope: { endsAtMs, addresses } }, address) {
      if (suspended) return "agent_suspended";
      if (endsAtMs !== undefined && clock.nowMs() >= endsAtMs) return "scope_expired";
      return addresses?.(address) === false ? "address_not_allowed" : undefined;
    },
    decide: (grant, call) =>
      refusalOf(grant.scope, call) ?? (grant.secrets.has(call.provider) ? undefined : "no_secret"),
    watch: (grant, onRevoked) => watches.watch(grant, onRevoked),
    close() {
      clearInterval(timer);
      watches.close();
      cache.forgetAll();
    },
  };
}
