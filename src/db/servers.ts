// Which of a URL's servers to go to. They are one database: a primary, and standbys of which one may be the primary next. What
// refuses us, or isn't the primary, is left for the next one; what serves us is kept, so that a dead one costs one wait and not each.
import { setTimeout as delay } from "node:timers/promises";

// A connection that ended sooner was refused: by the server, or by us since that is no primary.
const ACCEPTED_AFTER_MS = 1000;
// Between tries when all have been tried in vain.
const PAUSE_MS = 100;

/** What all clients of one pool know of the servers. */
export interface Servers {
  /** The number of the server to try, of `count`; waits a little when all of them have failed. Never rejects. */
  next(count: number, signal: AbortSignal): Promise<number>;
  /** It can't be connected to. */
  failed(server: number): void;
  /** It was connected to; call what this returns when that connection ends. */
  connected(server: number): () => void;
}

export function createServers(): Servers {
  let current = 0;
  let failures = 0;
  const failed = (server: number): void => {
    failures++;
    // Several connections may have met the same one.
    if (current === server) current = server + 1;
  };
  return {
    async next(count, signal) {
      if (failures >= count) await delay(PAUSE_MS, undefined, { signal }).catch(() => undefined);
      if (current >= count) current = 0;
      return current;
    },
    failed,
    connected(server) {
      let accepted = false;
      const timer = setTimeout(() => {
        accepted = true;
        failures = 0;
      }, ACCEPTED_AFTER_MS).unref();
      return () => {
        clearTimeout(timer);
        if (!accepted) failed(server);
      };
    },
  };
}
