// Releases: that a secret is opened for an agent is in the audit before it happens. One event counts for the agent, the secret's version
// and this process, for as long as the setting says. A release whose event can't be written doesn't happen. Must never open a secret
// itself, nor count an event that may not have been written.
import type { Clock } from "../clock.ts";
import type { Pool } from "../db/index.ts";
import { StoreUnavailableError } from "../errors.ts";
import { createFairQueue } from "../fair-queue.ts";
import { errorFields, type Log } from "../log.ts";
import type { HeldSecret } from "../vault/index.ts";
import type { Grant } from "./grant.ts";

// As many may wait as grants fit into the cache, though all are of one workspace.
const QUEUE = { places: 64, room: 40_000 };
const MAX_REMEMBERED = 50_000;
const PAUSE_AFTER_FAILURE_MS = 1_000;

/** `stale`: the token may not have this version any more; look it up again. */
export type Release = "released" | "stale" | "store_unavailable" | "overloaded";

export interface Releases {
  /** Monotonic: until when the event of a release of this version to the agent counts; undefined: there is none. */
  readonly untilMs: (agentId: string, secret: HeldSecret) => number | undefined;
  /**
   * Writes the event unless one counts, and releases the secret, which is one of the grant's. `address`: the caller's. `untilMs`
   * (monotonic): it waits for its turn no longer than until then. Never rejects.
   */
  write(
    grant: Grant,
    secret: HeldSecret,
    o: { readonly address: string | undefined; readonly untilMs: number },
  ): Promise<Release>;
  /** Turns away who has waited for too long, and forgets what does not count any more. To be called about once a second. */
  tick(): void;
}

/** `pool`: the proxy role's. `everyMs`: how long an event counts. `processId`: of this process, for events. */
export function createReleases(o: {
  pool: Pool;
  everyMs: number;
  processId: string;
  clock: Clock;
  log: Log;
}): Releases {
  const { pool, clock, log } = o;
  const queue = createFairQueue(QUEUE);
  const underWay = new Map<string, Promise<Release>>();
  // Until when the last event counts. The oldest is the first.
  const recorded = new Map<string, number>();
  let failedAtMs: number | undefined;
  let failing = false;

  function untilMs(agentId: string, secret: HeldSecret): number | undefined {
    const until = recorded.get(nameOf(agentId, secret));
    return until !== undefined && clock.monotonicMs() < until ? until : undefined;
  }

  function note(name: string, until: number): void {
    recorded.delete(name);
    recorded.set(name, until);
    const oldest = recorded.size > MAX_REMEMBERED ? recorded.keys().next().value : undefined;
    // Costs an event more, never one less.
    if (oldest !== undefined) recorded.delete(oldest);
  }

  function isPaused(nowMs: number): boolean {
    return failedAtMs !== undefined && nowMs - failedAtMs < PAUSE_AFTER_FAILURE_MS;
  }

  function enqueue(
    name: string,
    grant: Grant,
    secret: HeldSecret,
    call: { readonly address: string | undefined; readonly untilMs: number },
  ): Promise<Release> {
    const { promise, resolve } = Promise.withResolvers<Release>();
    const end = (outcome: Release): void => {
      underWay.delete(name);
      resolve(outcome);
    };
    underWay.set(name, promise);
    const hasRoom = queue.enter(grant.workspaceId, {
      untilMs: call.untilMs,
      begin() {
        const nowMs = clock.monotonicMs();
        if (isPaused(nowMs)) {
          end("store_unavailable");
          return undefined;
        }
        if (failedAtMs !== undefined) failedAtMs = nowMs; // this one finds out; the others go on failing at once
        return record(name, grant.tokenHash, secret, call.address).then(end);
      },
      turnAway: () => end("overloaded"),
    });
    if (!hasRoom) end("overloaded");
    return promise;
  }

  async function record(
    name: string,
    tokenHash: string,
    secret: HeldSecret,
    address: string | undefined,
  ): Promise<Release> {
    const hash = Buffer.from(tokenHash, "hex");
    const askedAtMs = clock.monotonicMs();
    try {
      const rows = await pool.query(
        (sql) => sql<{ released: boolean }[]>`
          select x3sproxy.release_secret(${hash}, ${secret.secretId}, ${secret.version}, ${o.processId}, ${address ?? null}) as released`,
      );
      if (failing) log.info("releases are recorded again");
      failedAtMs = undefined;
      failing = false;
      if (rows[0]?.released !== true) return "stale";
      note(name, askedAtMs + o.everyMs);
      return "released";
    } catch (error) {
      if (!failing) log.warn("a release can't be recorded", errorFields(error));
      failing = true;
      // An error of the statement itself is about this one, and says nothing of others.
      if (error instanceof StoreUnavailableError) failedAtMs = clock.monotonicMs();
      return "store_unavailable";
    }
  }

  return {
    untilMs,
    async write(grant, secret, call) {
      const { agentId } = grant;
      const name = nameOf(agentId, secret);
      const counts = untilMs(agentId, secret) !== undefined;
      const outcome = counts
        ? "released"
        : await (underWay.get(name) ?? enqueue(name, grant, secret, call));
      if (outcome === "released") secret.release();
      return outcome;
    },
    tick() {
      const nowMs = clock.monotonicMs();
      queue.expire(nowMs);
      for (const [name, until] of recorded) {
        if (nowMs < until) return;
        recorded.delete(name);
      }
    },
  };
}

function nameOf(agentId: string, { secretId, version }: HeldSecret): string {
  return `${agentId} ${secretId} ${version}`;
}
