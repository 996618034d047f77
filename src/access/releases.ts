// Releases: that a secret is opened for an agent is in the audit before it happens, once for each time that its grant is read from the
// database. A release whose event can't be written doesn't happen. Must never open a secret itself.
import type { Clock } from "../clock.ts";
import type { Pool } from "../db/index.ts";
import { StoreUnavailableError } from "../errors.ts";
import { errorFields, type Log } from "../log.ts";
import type { HeldSecret } from "../vault/index.ts";
import type { Grant } from "./grant.ts";

const MAX_AT_ONCE = 512;
const PAUSE_AFTER_FAILURE_MS = 1_000;

/** `stale`: the token may not have this version any more; look it up again. */
export type Release = "released" | "stale" | "store_unavailable" | "overloaded";

export interface Releases {
  /** Writes the event and releases the secret, which is one of the grant's. `address`: the caller's. Never rejects. */
  write(grant: Grant, secret: HeldSecret, address: string | undefined): Promise<Release>;
}

/** `pool`: the proxy role's. `processId`: of this process, for events. */
export function createReleases(o: {
  pool: Pool;
  processId: string;
  clock: Clock;
  log: Log;
}): Releases {
  const { pool, clock, log } = o;
  const underWay = new Map<HeldSecret, Promise<Release>>();
  let failedAtMs: number | undefined;
  let failing = false;

  async function write(
    { tokenHash }: Grant,
    secret: HeldSecret,
    address: string | undefined,
  ): Promise<Release> {
    const hash = Buffer.from(tokenHash, "hex");
    try {
      const rows = await pool.query(
        (sql) => sql<{ released: boolean }[]>`
          select x3sproxy.release_secret(${hash}, ${secret.secretId}, ${secret.version}, ${o.processId}, ${address ?? null}) as released`,
      );
      if (failing) log.info("releases are recorded again");
      failedAtMs = undefined;
      failing = false;
      if (rows[0]?.released !== true) return "stale";
      secret.release();
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
    write(grant, secret, address) {
      const running = underWay.get(secret);
      if (running !== undefined) return running;
      if (underWay.size >= MAX_AT_ONCE) return Promise.resolve("overloaded");
      const nowMs = clock.monotonicMs();
      if (failedAtMs !== undefined) {
        if (nowMs - failedAtMs < PAUSE_AFTER_FAILURE_MS) {
          return Promise.resolve("store_unavailable");
        }
        failedAtMs = nowMs; // this one finds out; the others go on failing at once
      }
      const written = write(grant, secret, address).finally(() => underWay.delete(secret));
      underWay.set(secret, written);
      return written;
    },
  };
}
