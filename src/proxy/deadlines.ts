// One shared clock hand for every deadline of every exchange, in place of timers per request. Precise to its tick.
import type { Clock } from "../clock.ts";

const TICK_MS = 200;

/** Something that waits. `overdue` is called at each tick and acts by itself when its time has come; `cut` ends it now. */
export interface Waiting {
  overdue(nowMs: number): void;
  cut(): void;
}

export interface DeadlineClock {
  /** Monotonic milliseconds as of the last tick: cheap enough to stamp each chunk with. */
  nowMs(): number;
  add(waiting: Waiting): void;
  delete(waiting: Waiting): void;
  /** Ends everything that still waits: the last deadline of all. */
  cutAll(): void;
  close(): void;
}

/** Makes the clock hand; it ticks only while something waits and never keeps the process alive. */
export function createDeadlineClock(clock: Clock): DeadlineClock {
  const waiting = new Set<Waiting>();
  let nowMs = clock.monotonicMs();
  let timer: NodeJS.Timeout | undefined;
  const tick = (): void => {
    nowMs = clock.monotonicMs();
    for (const one of waiting) one.overdue(nowMs);
    if (waiting.size === 0) stop();
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
      waiting.add(one);
    },
    delete: (one) => void waiting.delete(one),
    cutAll() {
      for (const one of waiting) one.cut();
    },
    close: stop,
  };
}
