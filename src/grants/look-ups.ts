// Asking the database what a token is: one query a token at a time, a bounded number at once, and never an answer
// that a change has overtaken. Strangers, tokens that were never seen live, have a small part of the look-ups, which their networks
// share; tokens that were live lately have another, which their workspaces share. While the database fails, answers at once and lets
// one query a second find out.
import { clientNetwork } from "../addresses.ts";
import type { Clock } from "../clock.ts";
import { createFairQueue, type Waiting } from "../fair-queue.ts";
import type { TokenHash } from "../ids.ts";
import { errorFields, logEnd, type Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { wipeGrant, type Grant } from "./grant.ts";
import { GRANT_TTL_MS, type TokenCache } from "./token-cache.ts";

const REFRESH_AFTER_MS = 45_000;
// An eighth of what may be under way. One network may have half of the room.
const STRANGERS = { places: 16, room: 4_096 };
// As many may wait as grants fit into the cache, though all are of one workspace.
const KNOWN = { places: 64, room: 40_000 };
const MAX_REFRESHES = 32;
const MAX_TRIES = 3;
const WAIT_MS = 4_000;
// With the pool's deadline of 4 s for the last of them, and the tick after which who waited for too long is turned away: nobody waits
// for longer than 12 s.
const TRY_AGAIN_WITHIN_MS = 2_500;
const LAST_TRY_AFTER_MS = 1_000;
const PAUSE_AFTER_FAILURE_MS = 1_000;

export type LookUp = Grant | "unknown_token" | "store_unavailable" | "overloaded" | LookUpFailure;

/** What the database answered can't be read: nobody's refusal. */
export class LookUpFailure {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/** What a caller is connected by: a socket. */
export interface Connection {
  readonly destroyed: boolean;
  once(event: "close", listener: () => void): unknown;
  off(event: "close", listener: () => void): unknown;
}

export interface LookUps {
  /**
   * From memory when it is known, synchronously; else from the database. `address`: the caller's, undefined: unknown. A caller whose
   * `connection` closes waits no longer. Never rejects.
   */
  find(tokenHash: TokenHash, address?: string, connection?: Connection): LookUp | Promise<LookUp>;
  /** From the database, whatever is remembered, and before all who wait; joins a query for this token that is under way. Never rejects. */
  load(tokenHash: TokenHash): LookUp | Promise<LookUp>;
  /** Turns away who has waited for too long. To be called about once a second. */
  tick(): void;
}

/** One look-up of a token, and all who wait for it. */
interface Flight extends Waiting {
  readonly tokenHash: TokenHash;
  /** Of whoever asked first. */
  readonly network: string;
  readonly found: Promise<LookUp>;
  readonly resolve: (found: LookUp) => void;
  readonly leaveQueue: () => boolean;
  /** Its turn has not come yet. */
  waits: boolean;
  callers: number;
  /** No query comes after the one that is under way: a change that comes in between is not seen by it. */
  isLastTry: boolean;
}

export function createLookUps(o: {
  cache: TokenCache;
  /** What the database says of a token: null when there is none. A rejection means that the database failed. */
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
    // What it finds may be older than this call. There is a new look-up by then, for all who came as late.
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

  /** Gives its place in the queue back when all who wait for it have left. */
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
          // It was not there after all who wait for this had come.
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
      // Each call that waits for it writes a line of its own.
      if (flight.callers === 0) log.error("a token's grant can't be read", errorFields(error));
      return new LookUpFailure(error);
    } finally {
      // Before the promise settles: whoever comes after must not join an answer that may be overtaken by then.
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
