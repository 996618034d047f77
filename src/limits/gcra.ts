// How far the use of one limit is ahead of it: the generic cell rate algorithm, one timestamp a meter. Smooth: there is no window
// at whose edge twice as much would pass. redis-script.ts says the same to Redis. Knows no clock.
import type { RefusalReason } from "../errors.ts";

const MINUTE_MS = 60_000;
/** What may be used at once, as a part of what a minute allows: ten seconds' worth. */
const BURST = 1 / 6;
/** No debt takes longer than this to pay, whatever an open stream has carried. */
const MAX_DEBT_MS = 24 * 3_600_000;
// Of sums of fractions.
const ROUNDING_MS = 0.001;

export type LimitReason = Extract<
  RefusalReason,
  "rate_limited" | "too_many_streams" | "too_many_bytes"
>;

export interface LimitRefusal {
  readonly reason: LimitReason;
  /** When it is worth another try: whole seconds, at least 1. */
  readonly retryAfterS: number;
}

/** The use of one limit. All times are monotonic milliseconds; a limit is in units a minute. */
export class Meter {
  /** When all that was used is paid for: the algorithm's theoretical arrival time. */
  #paidAtMs = 0;
  /** The limit that it was reckoned with. */
  #limit = 1;

  /** For how many milliseconds what was used uses up the limit. A limit that was raised shortens it in proportion. */
  aheadMs(limit: number, nowMs: number): number {
    return Math.max(0, this.#paidAtMs - nowMs) * Math.min(1, this.#limit / limit);
  }

  add(units: number, limit: number, nowMs: number): void {
    const aheadMs = this.aheadMs(limit, nowMs) + (units * MINUTE_MS) / limit;
    this.#paidAtMs = nowMs + Math.min(aheadMs, MAX_DEBT_MS);
    this.#limit = limit;
  }

  isIdle(nowMs: number): boolean {
    return this.#paidAtMs <= nowMs;
  }
}

/** In how many milliseconds one more request is admitted: a sixth of the limit at once, at least one, then evenly. */
export function requestWaitMs(aheadMs: number, limit: number): number {
  const eachMs = MINUTE_MS / limit;
  return waitMs(aheadMs + eachMs - Math.ceil(limit * BURST) * eachMs);
}

/** In how many milliseconds a call is admitted: once what was used beyond ten seconds' worth, the debt, is paid. */
export function bytesWaitMs(aheadMs: number): number {
  return waitMs(aheadMs - MINUTE_MS * BURST);
}

/** The refusal for a wait. */
export function refusal(reason: LimitReason, waitMs: number): LimitRefusal {
  return { reason, retryAfterS: Math.max(1, Math.ceil((waitMs - ROUNDING_MS) / 1000)) };
}

function waitMs(excessMs: number): number {
  return excessMs > ROUNDING_MS ? excessMs : 0;
}
