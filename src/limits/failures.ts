// Failed authentications of each network, in this process's memory, bounded. They only tell the next one that fails to wait: whoever shows
// a good credential is let in, however many others have failed. Must never be asked before a credential was verified.
// They count in windows of a minute, as the documentation promises, and so are no GCRA.
import { LRUCache } from "lru-cache";
import type { Clock } from "../clock.ts";

const WINDOW_MS = 60_000;
const MAX_NETWORKS = 10_000;

export interface Failures {
  /** Counts one. Returns in how many seconds another may fail; 0: at once. */
  count(network: string): number;
}

/** `perMinute`: how many of one network may fail in a minute before they are told to wait. */
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
