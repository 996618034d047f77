// From a token to what it may do: resolve, decide, end what is open. The data plane's only way to a grant. Unknown means no,
// and a failing store means no; nothing here lets a call through by default.
import type { Clock } from "../clock.ts";
import type { Changes, Pool } from "../db/index.ts";
import type { RefusalReason } from "../errors.ts";
import { hashBearer, isProxyToken } from "../ids.ts";
import type { Log } from "../log.ts";
import { EVICTION_REASONS } from "../metric-labels.ts";
import type { Metrics } from "../metrics.ts";
import type { HeldSecret, Vault } from "../vault/index.ts";
import { createCutRecords, type Sweep } from "./cut-records.ts";
import { parseGrant, type Grant } from "./grant.ts";
import { admissionOf, refusalOf, type CallFacts } from "../scopes/index.ts";
import { createLookUps, LookUpFailure, type Connection, type LookUp } from "./look-ups.ts";
import { createOpenCalls, type AgentState, type EachOpenCall } from "./open-calls.ts";
import { createReleases } from "./releases.ts";
import { createTokenCache, type TokenCache } from "./token-cache.ts";
import { createTrade, type Trade } from "./trade.ts";

const TICK_MS = 1_000;
// With a tick and the pool's deadline of 4 s: a call waits no longer than 11 s for its grant and the release of its secret.
const RELEASE_WITHIN_MS = 6_000;

export interface Grants {
  /**
   * The grant of a live token, or why there is none; synchronously when it is remembered. A grant's secrets may be
   * wiped in a later turn of the event loop: inject in the turn in which the grant came. `address`: the caller's (undefined: unknown),
   * by which tokens that were never seen live wait their turn. A caller whose `connection` closes waits no longer.
   * Rejects with what is nobody's refusal.
   */
  resolve(
    token: string,
    address?: string,
    connection?: Connection,
  ): Grant | RefusalReason | Promise<Grant | RefusalReason>;
  /**
   * Why the grant may not be used at all from `address` (undefined: unknown), or undefined: its agent is suspended, its scope has
   * ended, or the address is not one of its own.
   */
  admit(grant: Grant, address: string | undefined): RefusalReason | undefined;
  /** Whether the grant is what its token still resolves to: to be asked after a wait, and the token resolved anew when not. */
  isCurrent(grant: Grant): boolean;
  /**
   * Has the release of one of the grant's secrets written to the audit, unless it is in it and counts still, for a call from `address`
   * (undefined: unknown). Resolves to why it may not be used, or undefined: then the grant has to be asked for again, since it may have
   * been overtaken. Rejects with what is nobody's refusal.
   */
  release(
    grant: Grant,
    secret: HeldSecret,
    address: string | undefined,
  ): Promise<RefusalReason | undefined>;
  /** Why a grant that is admitted does not allow this call, or undefined. */
  decide(grant: Grant, call: CallFacts): RefusalReason | undefined;
  /**
   * Names the source of the calls that are under way, which are cut from then on: when their agent is destroyed or suspended, when
   * their token has been replaced or past its end for the grace time, or when it was not confirmed within 60 s.
   */
  watchOpen(each: EachOpenCall): void;
  /** For who cuts calls by itself, as at the end of the service: has it written to the audit. */
  beginCutting(): Sweep;
  /** Trades a registration for a new deployment of its agent. */
  trade: Trade;
  /** Forgets every grant and stops watching. What still waits for the audit is tried once more. */
  close(): Promise<void>;
}

/**
 * `pool`: the proxy role's, which can do no more than ask what a token's hash resolves to and what became of its agent, trade a
 * registration's, and add events of releases and cuts to the audit. `redeployGraceMs`: how long calls may go on whose token was
 * replaced or has expired. `releaseEveryMs`: how long a release's event counts; longer than a grant lives. `processId`: of this
 * process, for events.
 */
export function createGrants(o: {
  pool: Pool;
  changes: Changes;
  vault: Pick<Vault, "hold">;
  redeployGraceMs: number;
  releaseEveryMs: number;
  processId: string;
  clock: Clock;
  log: Log;
  metrics: Metrics;
}): Grants {
  const { pool, changes, vault, clock } = o;
  const cache = createTokenCache();
  const releases = createReleases({ ...o, everyMs: o.releaseEveryMs });
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
    parse: (row, of) => parseGrant(row, { ...of, vault, releasedUntilMs: releases.untilMs }),
  });
  const trades = createTrade(o);
  const records = createCutRecords(o);
  const openCalls = createOpenCalls({
    ...o,
    cache,
    lookUps,
    records,
    graceMs: o.redeployGraceMs,
    agentState: async (agentId) => {
      const rows = await pool.query(
        (sql) => sql<{ state: AgentState }[]>`select x3sproxy.agent_state(${agentId}) as state`,
      );
      return rows[0]?.state ?? "gone";
    },
  });

  measureCache(o.metrics, cache);
  changes.onChange((change) => {
    const id = "agentId" in change ? change.agentId : change.workspaceId;
    cache.forget(id);
    openCalls.suspect(id);
  });
  changes.onGap(() => {
    cache.forgetAll();
    openCalls.suspectAll();
  });

  const timer = setInterval(() => {
    cache.sweep(clock.monotonicMs());
    lookUps.tick();
    releases.tick();
    trades.tick();
    openCalls.tick();
  }, TICK_MS).unref();

  function unlessExpired(found: LookUp): Grant | RefusalReason {
    if (found instanceof LookUpFailure) throw found.error;
    if (typeof found === "string" || found.expiresAtMs === undefined) return found;
    return clock.nowMs() < found.expiresAtMs ? found : "expired_token";
  }

  return {
    resolve(token, address, connection) {
      if (!isProxyToken(token)) return "malformed_token";
      const found = lookUps.find(hashBearer(token), address, connection);
      return found instanceof Promise ? found.then(unlessExpired) : unlessExpired(found);
    },
    admit: ({ suspended, scope }, address) =>
      suspended
        ? "agent_suspended"
        : admissionOf(scope, address, scope.endsAtMs === undefined ? 0 : clock.nowMs()),
    isCurrent: (grant) =>
      cache.get(grant.tokenHash, clock.monotonicMs()) === grant &&
      (grant.expiresAtMs === undefined || clock.nowMs() < grant.expiresAtMs),
    decide: (grant, call) =>
      refusalOf(grant.scope, call) ?? (grant.secrets.has(call.provider) ? undefined : "no_secret"),
    async release(grant, secret, address) {
      const untilMs = clock.monotonicMs() + RELEASE_WITHIN_MS;
      const written = await releases.write(grant, secret, { address, untilMs });
      if (written === "released") return undefined;
      if (written !== "stale") return written;
      await lookUps.load(grant.tokenHash);
      return undefined;
    },
    watchOpen: (each) => openCalls.watch(each),
    beginCutting: () => records.begin(),
    trade: trades.trade,
    close() {
      clearInterval(timer);
      openCalls.close();
      cache.forgetAll();
      return records.close();
    },
  };
}

function measureCache(metrics: Metrics, cache: TokenCache): void {
  const counted = { change: 0, expiry: 0, room: 0 };
  metrics.beforeScrape(() => {
    const { grants, unknown, evicted } = cache.state();
    metrics.cacheEntries.set({ kind: "grant" }, grants);
    metrics.cacheEntries.set({ kind: "unknown" }, unknown);
    for (const reason of EVICTION_REASONS) {
      metrics.cacheEvictions.inc({ reason }, evicted[reason] - counted[reason]);
      counted[reason] = evicted[reason];
    }
  });
}
