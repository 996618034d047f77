// One timer for the deadlines of all exchanges, instead of timers a request; precise to its tick. It therefore has the list of all open
// calls, and shows it to whoever must end some of them.
import type { Clock } from "../platform/clock.ts";

const TICK_MS = 200;

/** Something with deadlines. `overdue` is called at each tick; it checks its own deadlines and acts on them. */
export interface Waiting {
  /** Its index in the clock's list, set by the clock; -1: it isn't in it. */
  waitingAt: number;
  overdue(nowMs: number): void;
}

export interface DeadlineClock<One extends Waiting = Waiting> {
  /** Monotonic milliseconds as of the last tick: cheap enough to read for each chunk. */
  nowMs(): number;
  add(waiting: One): void;
  delete(waiting: One): void;
  /** Calls `visit` with each one; it may end it. */
  each(visit: (waiting: One) => void): void;
  close(): void;
}

/** Makes the clock. It ticks only while something waits, and never keeps the process alive. */
export function createDeadlineClock<One extends Waiting>(clock: Clock): DeadlineClock<One> {
  // An array and not a Set: a Set that changes all the time leaves old tables behind, which keep dead requests alive until a full
  // garbage collection. That was half of a request's cost.
  const waiting: One[] = [];
  let nowMs = clock.monotonicMs();
  let timer: NodeJS.Timeout | undefined;
  const tick = (): void => {
    nowMs = clock.monotonicMs();
    for (let i = waiting.length - 1; i >= 0; i--) waiting[i]?.overdue(nowMs);
    if (waiting.length === 0) stop();
  };
  const stop = (): void => {
    clearInterval(timer);
    timer = undefined;
  };
  return {
    nowMs: () => nowMs,
    add(one) {
      if (timer === undefined) {
        nowMs = clock.monotonicMs();
        timer = setInterval(tick, TICK_MS);
        timer.unref();
      }
      one.waitingAt = waiting.push(one) - 1;
    },
    delete(one) {
      const last = waiting.length - 1;
      const moved = waiting[last];
      if (one.waitingAt < 0 || moved === undefined) return;
      // The last one takes its place. All loops run backwards, so none of them misses it.
      waiting[one.waitingAt] = moved;
      moved.waitingAt = one.waitingAt;
      one.waitingAt = -1;
      waiting.length = last;
    },
    each(visit) {
      for (let i = waiting.length - 1; i >= 0; i--) {
        const one = waiting[i];
        if (one !== undefined) visit(one);
      }
    },
    close: stop,
  };
}
