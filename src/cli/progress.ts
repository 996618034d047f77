// How far something is that takes long, on standard error: nothing for what is quick.
import { systemClock } from "../platform/clock.ts";

const QUIET_MS = 5000;

/** `report` says how many of `what` are done; it is printed every five seconds at most. */
export function createProgress(what: string): { report(done: number): void } {
  let lastMs = systemClock.monotonicMs();
  return {
    report(done) {
      const nowMs = systemClock.monotonicMs();
      if (nowMs - lastMs < QUIET_MS) return;
      lastMs = nowMs;
      process.stderr.write(`${done} ${what} …\n`);
    },
  };
}
