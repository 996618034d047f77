// Failed authentications of each network, in this process's memory. They only tell the next one that fails to wait: whoever shows a
// credential that is good is let in, however many others have failed. Must never be asked before a credential was verified.
import { LRUCache } from "lru-cache";
import type { Clock } from "../clock.ts";
import { RequestError } from "../errors.ts";

const MAX_FAILURES = 20;
const WINDOW_MS = 60_000;
const MAX_NETWORKS = 10_000;

export interface Failures {
  /** Counts one; throws RequestError 429 in place of it past 20 in a minute. */
  count(network: string): void;
}

export function createFailures({ clock }: { clock: Clock }): Failures {
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
      if (window.count <= MAX_FAILURES) return;
      throw new RequestError(
        429,
        "too_many_attempts",
        "Too many failed attempts from this address. Try again in a minute.",
      );
    },
  };
}
