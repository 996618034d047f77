// A clock that moves only when it is told to.
import type { Clock } from "../../src/clock.ts";

export interface ManualClock extends Clock {
  advance(ms: number): void;
}

export function createManualClock(): ManualClock {
  let wallMs = Date.now();
  let monotonicMs = 1_000;
  return {
    nowMs: () => wallMs,
    monotonicMs: () => monotonicMs,
    advance(ms) {
      wallMs += ms;
      monotonicMs += ms;
    },
  };
}

/** Settings with which no deadline of a call is met, however far the clock is moved on between calls. */
export const NO_DEADLINES = {
  X3SPROXY_CONNECT_TIMEOUT: "10d",
  X3SPROXY_FIRST_BYTE_TIMEOUT: "10d",
  X3SPROXY_UPSTREAM_IDLE_TIMEOUT: "10d",
  X3SPROXY_CLIENT_STALL_TIMEOUT: "10d",
  X3SPROXY_CLIENT_IDLE_TIMEOUT: "10d",
};
