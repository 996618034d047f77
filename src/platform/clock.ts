// The only source of time. Code that measures or expires takes a Clock, so that a test can control it.

export interface Clock {
  /** Wall-clock time, milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Monotonic time, milliseconds since an arbitrary start: for durations and expiry, immune to clock steps. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
