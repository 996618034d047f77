// Counts failed authentications of each network, in the memory of this process, bounded. Only a request that fails is told to wait: a good
// credential is let in, however many others have failed. Must never be asked before a credential was verified.
// Not GCRA: the documentation promises a number of failures in a window of a minute.
import { LRUCache } from "lru-cache";
import type { Clock } from "../platform/clock.ts";

const WINDOW_MS = 60_000;
const MAX_NETWORKS = 10_000;

export interface Failures {
  /** Counts one failure. Returns in how many seconds the next one is allowed; 0: at once. */
  count(network: string): number;
}

/** `perMinute`: how many requests of one network may fail in a minute before the next one is told to wait. */
export function createFailures({
  perMinute,
  clock,
}: {
  perMinute: number;
  clock: Clock;
}): Failures {
  const windows = new LRUCache<string, { count: number; endsMs: number }>({ max: MAX_NETWORKS });
  return {
    count(network) {
      const nowMs = clock.monotonicMs();
      let window = windows.get(network);
      if (window === undefined || window.endsMs <= nowMs) {
        window = { count: 0, endsMs: nowMs + WINDOW_MS };
        windows.set(network, window);
      }
      window.count += 1;
      return window.count <= perMinute ? 0 : Math.ceil((window.endsMs - nowMs) / 1000);
    },
  };
}
