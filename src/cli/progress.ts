// The progress of long work, on standard error. Quick work prints nothing.
import { systemClock } from "../platform/clock.ts";

const QUIET_MS = 5000;

/** `report` takes how many of `what` are done. It prints at most every five seconds. */
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
