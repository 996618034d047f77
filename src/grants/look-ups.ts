// Look-ups: ask the database what a token is. Single flight: one query a token at a time; and a bounded number at once. Must never return
// an answer that a change has overtaken. Tokens that were never seen live have a small part of the look-ups, shared by network; tokens that
// were live lately have another, shared by workspace. While the database fails, look-ups fail at once, and one query a second tries again.
import { clientNetwork } from "../platform/addresses.ts";
import type { Clock } from "../platform/clock.ts";
import { createFairQueue, type Waiting } from "../platform/fair-queue.ts";
import type { TokenHash } from "../platform/ids.ts";
import { errorFields, logEnd, type Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { wipeGrant, type Grant } from "./grant.ts";
import { GRANT_TTL_MS, type TokenCache } from "./token-cache.ts";

const REFRESH_AFTER_MS = 45_000;
// An eighth of all look-ups at once. One network may have half of the room.
const STRANGERS = { places: 16, room: 4_096 };
// As many may wait as the cache has room for, even of one workspace.
const KNOWN = { places: 64, room: 40_000 };
const MAX_REFRESHES = 32;
const MAX_TRIES = 3;
const WAIT_MS = 4_000;
// Together with the pool's deadline of 4 s for the last try, and a tick: no call waits longer than 12 s.
const TRY_AGAIN_WITHIN_MS = 2_500;
const LAST_TRY_AFTER_MS = 1_000;
const PAUSE_AFTER_FAILURE_MS = 1_000;

export type LookUp = Grant | "unknown_token" | "store_unavailable" | "overloaded" | LookUpFailure;

/** The database's answer can't be read: an internal error and no refusal. */
export class LookUpFailure {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/** The caller's connection. */
export interface Connection {
  readonly destroyed: boolean;
  once(event: "close", listener: () => void): unknown;
  off(event: "close", listener: () => void): unknown;
}

export interface LookUps {
  /**
   * Finds a token: synchronously if it is cached, else in the database. `address`: the caller's; undefined: unknown. When its `connection`
   * closes, a caller stops waiting. Never rejects.
   */
  find(tokenHash: TokenHash, address?: string, connection?: Connection): LookUp | Promise<LookUp>;
  /** Asks the database even if the token is cached, ahead of all that wait; joins a running query for this token. Never rejects. */
  load(tokenHash: TokenHash): LookUp | Promise<LookUp>;
  /** Refuses callers that have waited for too long. Call it about once a second. */
  tick(): void;
}

/** One look-up of a token, and all callers that wait for it. */
interface Flight extends Waiting {
  readonly tokenHash: TokenHash;
  /** The network of the first caller. */
  readonly network: string;
  readonly found: Promise<LookUp>;
  readonly resolve: (found: LookUp) => void;
  readonly leaveQueue: () => boolean;
  /** Whether it still waits in the queue. */
  waits: boolean;
  callers: number;
  /** The running query is the last try: it won't see a change that comes after its start. */
  isLastTry: boolean;
}

export function createLookUps(o: {
  cache: TokenCache;
  /** Asks the database for a token; null: there is none. Rejects when the database fails. */
  query: (tokenHash: TokenHash) => Promise<unknown>;
  parse: (row: unknown, of: { tokenHash: TokenHash; loadedAtMs: number; untilMs: number }) => Grant;
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
  const underWay = new Map<TokenHash, Flight>();
  const strangers = createFairQueue(STRANGERS);
  const known = createFairQueue(KNOWN);
  let refreshes = 0;
  let failedAtMs: number | undefined;

  function find(
    tokenHash: TokenHash,
    address?: string,
    connection?: Connection,
  ): LookUp | Promise<LookUp> {
    const nowMs = clock.monotonicMs();
    const grant = cache.get(tokenHash, nowMs);
    if (grant !== undefined) {
      hits += 1;
      const ageMs = nowMs - grant.loadedAtMs;
      ages.observe(ageMs / 1000);
      if (ageMs >= REFRESH_AFTER_MS) refresh(tokenHash);
      return grant;
    }
    const network = clientNetwork(address ?? "");
    if (cache.isUnknown(tokenHash, network, nowMs)) {
      negatives.inc();
      return "unknown_token";
    }
    misses.inc();
    if (connection?.destroyed === true) return "overloaded";
    const running = underWay.get(tokenHash);
    // Its answer may be older than this call. All such late callers share a new look-up.
    if (running?.isLastTry === true) {
      return running.found.then(() => find(tokenHash, address, connection));
    }
    if (running === undefined && isPaused(nowMs)) return "store_unavailable";
    const flight = running ?? enqueue(tokenHash, network, nowMs);
    if (flight === undefined) return "overloaded";
    flight.callers += 1;
    if (flight.waits && connection !== undefined) endWithConnection(flight, connection);
    return flight.found;
  }

  function enqueue(tokenHash: TokenHash, network: string, nowMs: number): Flight | undefined {
    const workspaceId = cache.latelyOf(tokenHash);
    const queue = workspaceId === undefined ? strangers : known;
    const key = workspaceId ?? network;
    const flight = createFlight(tokenHash, network, nowMs + WAIT_MS, (it) => queue.leave(key, it));
    if (queue.enter(key, flight)) return flight;
    underWay.delete(tokenHash);
    return undefined;
  }

  function createFlight(
    tokenHash: TokenHash,
    network: string,
    untilMs: number,
    leave: (flight: Flight) => boolean,
  ): Flight {
    const { promise, resolve } = Promise.withResolvers<LookUp>();
    const end = (found: LookUp): void => {
      underWay.delete(tokenHash);
      resolve(found);
    };
    const flight: Flight = {
      ...{ tokenHash, network, untilMs, resolve, found: promise },
      ...{ waits: true, callers: 0, isLastTry: false },
      leaveQueue: () => leave(flight),
      begin() {
        flight.waits = false;
        const nowMs = clock.monotonicMs();
        if (isPaused(nowMs)) {
          end("store_unavailable");
          return undefined;
        }
        if (failedAtMs !== undefined) failedAtMs = nowMs; // this one finds out; the others go on failing at once
        return ask(flight);
      },
      turnAway: () => end("overloaded"),
    };
    underWay.set(tokenHash, flight);
    return flight;
  }

  /** Leaves the queue when all its callers have left. */
  function endWithConnection(flight: Flight, connection: Connection): void {
    const left = (): void => {
      flight.callers -= 1;
      if (flight.callers === 0 && flight.leaveQueue()) flight.turnAway();
    };
    const done = (): void => void connection.off("close", left);
    connection.once("close", left);
    flight.found.then(done, done);
  }

  function isPaused(nowMs: number): boolean {
    return failedAtMs !== undefined && nowMs - failedAtMs < PAUSE_AFTER_FAILURE_MS;
  }

  function refresh(tokenHash: TokenHash): void {
    if (refreshes >= MAX_REFRESHES || underWay.has(tokenHash)) return;
    const found = load(tokenHash);
    if (!(found instanceof Promise)) return;
    const done = (): void => void (refreshes -= 1);
    refreshes += 1;
    logEnd(found.then(done, done), log, "a token's grant can't be refreshed");
  }

  function load(tokenHash: TokenHash): LookUp | Promise<LookUp> {
    const running = underWay.get(tokenHash);
    if (running !== undefined && !running.leaveQueue()) return running.found;
    const nowMs = clock.monotonicMs();
    const flight = running ?? createFlight(tokenHash, clientNetwork(""), nowMs, () => false);
    return flight.begin() === undefined ? "store_unavailable" : flight.found;
  }

  async function ask(flight: Flight): Promise<void> {
    flight.resolve(await lookUp(flight));
  }

  async function lookUp(flight: Flight): Promise<LookUp> {
    const { tokenHash } = flight;
    const startedAtMs = clock.monotonicMs();
    try {
      for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
        const loadedAtMs = clock.monotonicMs();
        const passedMs = loadedAtMs - startedAtMs;
        if (flight.isLastTry || passedMs >= TRY_AGAIN_WITHIN_MS) break;
        flight.isLastTry = tries === MAX_TRIES || passedMs >= LAST_TRY_AFTER_MS;
        const generation = cache.generation();
        const row = await answer(tokenHash);
        if (row === undefined) return "store_unavailable";
        const untilMs = loadedAtMs + GRANT_TTL_MS;
        const grant = row === null ? undefined : o.parse(row, { tokenHash, loadedAtMs, untilMs });
        const isPast = clock.monotonicMs() >= (grant?.untilMs ?? untilMs);
        if (isPast || cache.changedSince(generation, grant)) {
          if (grant !== undefined) wipeGrant(grant);
          // The query began after the last caller had come, so its answer is right for all.
          else if (flight.isLastTry && !isPast) return "unknown_token";
          continue;
        }
        if (grant === undefined) {
          cache.putUnknown(tokenHash, flight.network, loadedAtMs);
          return "unknown_token";
        }
        cache.put(grant);
        return grant;
      }
      return "store_unavailable";
    } catch (error) {
      // Each waiting call logs its own line.
      if (flight.callers === 0) log.error("a token's grant can't be read", errorFields(error));
      return new LookUpFailure(error);
    } finally {
      // Before the promise settles: a later caller must not join an answer that may be overtaken.
      underWay.delete(tokenHash);
    }
  }

  async function answer(tokenHash: TokenHash): Promise<unknown> {
    try {
      const row = await o.query(tokenHash);
      if (failedAtMs !== undefined) log.info("token look-ups work again");
      failedAtMs = undefined;
      return row;
    } catch (error) {
      if (failedAtMs === undefined) log.warn("token look-ups fail", errorFields(error));
      failedAtMs = clock.monotonicMs();
      return undefined;
    }
  }

  return {
    find,
    load,
    tick() {
      const nowMs = clock.monotonicMs();
      strangers.expire(nowMs);
      known.expire(nowMs);
    },
  };
}
