// A bound on failed authentications from one network, in this process's memory. It spares the database a flood; the
// credentials themselves have 190 random bits and can't be guessed.
import { LRUCache } from "lru-cache";
import type { Clock } from "../clock.ts";
import { RequestError } from "../errors.ts";

const MAX_FAILURES = 20;
const WINDOW_MS = 60_000;
const MAX_NETWORKS = 10_000;

export interface Attempts {
  /** Counts an attempt before its outcome is known. Throws RequestError 429 past 20 failures in a minute. */
  begin(network: string): void;
  /** Takes back an attempt that was no failure: it succeeded, or the database did not answer. */
  takeBack(network: string): void;
}

export function createAttempts({ clock }: { clock: Clock }): Attempts {
  const windows = new LRUCache<string, { count: number; endsMs: number }>({ max: MAX_NETWORKS });
  return {
    begin(network) {
      const nowMs = clock.monotonicMs();
      let window = windows.get(network);
      if (window === undefined || window.endsMs <= nowMs) {
        window = { count: 0, endsMs: nowMs + WINDOW_MS };
        windows.set(network, window);
      }
      if (window.count >= MAX_FAILURES) {
        throw new RequestError(
          429,
          "too_many_attempts",
          "Too many failed attempts from this address. Try again in a minute.",
        );
      }
      window.count++;
    },
    takeBack(network) {
      const window = windows.get(network);
      if (window !== undefined && window.count > 0) window.count--;
    },
  };
}
