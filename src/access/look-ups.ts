// Asking the database what a token is: one query a token at a time, a bounded number at once, and never an answer
// that a change has overtaken. While the database fails, answers at once and lets one query a second find out.
import type { Clock } from "../clock.ts";
import type { TokenHash } from "../ids.ts";
import { errorFields, logEnd, type Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { openedOf, wipeGrant, type Grant } from "./grant.ts";
import { GRANT_TTL_MS, type TokenCache } from "./token-cache.ts";

const REFRESH_AFTER_MS = 45_000;
const MAX_STRANGERS = 64;
const MAX_REFRESHES = 32;
const MAX_TRIES = 3;
// With the pool's deadline of 4 s for the last of them: nobody waits for longer than 5 s.
const TRY_AGAIN_WITHIN_MS = 1_000;
const PAUSE_AFTER_FAILURE_MS = 1_000;

export type LookUp = Grant | "unknown_token" | "store_unavailable" | "internal_error";

export interface LookUps {
  /** From memory when it is known, synchronously; else from the database. Never rejects. */
  find(tokenHash: TokenHash): LookUp | "overloaded" | Promise<LookUp>;
  /** From the database, whatever is remembered; joins a query for this token that is under way. Never rejects. */
  load(tokenHash: TokenHash): LookUp | Promise<LookUp>;
}

export function createLookUps(o: {
  cache: TokenCache;
  /**
   * What the database says of a token: null when there is none. `inUse`: ids of the secrets that the grant before it has open, to be
   * released with the new one. A rejection means that the database failed.
   */
  query: (tokenHash: TokenHash, inUse: readonly string[]) => Promise<unknown>;
  parse: (row: unknown, of: { tokenHash: TokenHash; loadedAtMs: number }) => Grant;
  clock: Clock;
  log: Log;
  metrics: Metrics;
}): LookUps {
  const { cache, clock, log } = o;
  let hits = 0;
  o.metrics.beforeScrape(() => {
    o.metrics.cacheLookups.inc({ result: "hit" }, hits);
    hits = 0;
  });
  const ages = o.metrics.cacheAgeSeconds.of("");
  const negatives = o.metrics.cacheLookups.labels("negative");
  const misses = o.metrics.cacheLookups.labels("miss");
  const underWay = new Map<TokenHash, Promise<LookUp>>();
  let strangers = 0;
  let refreshes = 0;
  let failedAtMs: number | undefined;

  function find(tokenHash: TokenHash): LookUp | "overloaded" | Promise<LookUp> {
    const nowMs = clock.monotonicMs();
    const grant = cache.get(tokenHash, nowMs);
    if (grant !== undefined) {
      hits += 1;
      const ageMs = nowMs - grant.loadedAtMs;
      ages.observe(ageMs / 1000);
      if (ageMs >= REFRESH_AFTER_MS) refresh(tokenHash);
      return grant;
    }
    if (cache.isUnknown(tokenHash, nowMs)) {
      negatives.inc();
      return "unknown_token";
    }
    misses.inc();
    const running = underWay.get(tokenHash);
    if (running !== undefined) return running;
    if (strangers >= MAX_STRANGERS) return "overloaded";
    const found = load(tokenHash);
    if (!(found instanceof Promise)) return found;
    strangers += 1;
    return found.finally(() => (strangers -= 1));
  }

  function refresh(tokenHash: TokenHash): void {
    if (refreshes >= MAX_REFRESHES || underWay.has(tokenHash)) return;
    const found = load(tokenHash);
    if (!(found instanceof Promise)) return;
    refreshes += 1;
    logEnd(
      found.finally(() => (refreshes -= 1)),
      log,
      "a token's grant can't be refreshed",
    );
  }

  function load(tokenHash: TokenHash): LookUp | Promise<LookUp> {
    const running = underWay.get(tokenHash);
    if (running !== undefined) return running;
    const nowMs = clock.monotonicMs();
    if (failedAtMs !== undefined) {
      if (nowMs - failedAtMs < PAUSE_AFTER_FAILURE_MS) return "store_unavailable";
      failedAtMs = nowMs; // this one finds out; the others go on failing at once
    }
    const found = ask(tokenHash);
    underWay.set(tokenHash, found);
    return found;
  }

  async function ask(tokenHash: TokenHash): Promise<LookUp> {
    const startedAtMs = clock.monotonicMs();
    try {
      for (let tries = 0; tries < MAX_TRIES; tries += 1) {
        const loadedAtMs = clock.monotonicMs();
        if (loadedAtMs - startedAtMs >= TRY_AGAIN_WITHIN_MS) break;
        const generation = cache.generation();
        const row = await answer(tokenHash);
        if (row === undefined) return "store_unavailable";
        const grant = row === null ? undefined : o.parse(row, { tokenHash, loadedAtMs });
        if (
          cache.changedSince(generation, grant) ||
          clock.monotonicMs() - loadedAtMs >= GRANT_TTL_MS
        ) {
          if (grant !== undefined) wipeGrant(grant);
          continue;
        }
        if (grant === undefined) {
          cache.putUnknown(tokenHash, loadedAtMs);
          return "unknown_token";
        }
        cache.put(grant);
        return grant;
      }
      return "store_unavailable";
    } catch (error) {
      log.error("a token's grant can't be read", errorFields(error));
      return "internal_error";
    } finally {
      // Before the promise settles: whoever comes after must not join an answer that may be overtaken by then.
      underWay.delete(tokenHash);
    }
  }

  /** The database's row, null for none, undefined when the database failed. */
  async function answer(tokenHash: TokenHash): Promise<unknown> {
    try {
      const known = cache.get(tokenHash, clock.monotonicMs());
      const row = await o.query(tokenHash, known === undefined ? [] : openedOf(known));
      if (failedAtMs !== undefined) log.info("token look-ups work again");
      failedAtMs = undefined;
      return row;
    } catch (error) {
      if (failedAtMs === undefined) log.warn("token look-ups fail", errorFields(error));
      failedAtMs = clock.monotonicMs();
      return undefined;
    }
  }

  return { find, load };
}
