// One shared clock hand for every deadline of every exchange, in place of timers per request. Precise to its tick. So it knows all
// that is open, and shows it to whoever has to end some of it.
import type { Clock } from "../clock.ts";

const TICK_MS = 200;

/** Something that waits. `overdue` is called at each tick and acts by itself when its time has come. */
export interface Waiting {
  /** Kept by the clock: where it stands in its list; -1 when it is in none. */
  waitingAt: number;
  overdue(nowMs: number): void;
}

export interface DeadlineClock<One extends Waiting = Waiting> {
  /** Monotonic milliseconds as of the last tick: cheap enough to stamp each chunk with. */
  nowMs(): number;
  add(waiting: One): void;
  delete(waiting: One): void;
  /** Shows each that waits to `visit`, which may end it. */
  each(visit: (waiting: One) => void): void;
  close(): void;
}

/** Makes the clock hand; it ticks only while something waits and never keeps the process alive. */
export function createDeadlineClock<One extends Waiting>(clock: Clock): DeadlineClock<One> {
  // Not a Set: one that is added to and deleted from all the time leaves dead tables behind that hold each other, and every
  // request in them, until a full collection. That made half of a request's cost.
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
      // The last takes its place. All loops go backwards, past what has moved.
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
