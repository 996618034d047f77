// The generic cell rate algorithm (ITU-T I.371): one timestamp a limit. It has no windows, so no burst of twice the limit can pass at a
// window's edge. redis-script.ts is the same arithmetic in Lua. Pure: the caller gives the time.
import type { RefusalReason } from "../platform/errors.ts";

const MINUTE_MS = 60_000;
/** The burst, as a part of a minute's limit: ten seconds' worth. */
const BURST = 1 / 6;
/** The longest debt: even a long stream's bytes are paid after this time. */
const MAX_DEBT_MS = 24 * 3_600_000;
// The rounding error of sums of fractions.
const ROUNDING_MS = 0.001;

export type LimitReason = Extract<
  RefusalReason,
  "rate_limited" | "too_many_streams" | "too_many_bytes"
>;

export interface LimitRefusal {
  readonly reason: LimitReason;
  /** In how many whole seconds another try makes sense; at least 1. */
  readonly retryAfterS: number;
}

/** The use of one limit. All times are monotonic milliseconds; a limit is in units a minute. */
export class Meter {
  /** The theoretical arrival time: when everything used so far is paid for. */
  #paidAtMs = 0;
  /** The limit by which that was calculated. */
  #limit = 1;

  /** How far the use is ahead of the limit, in ms. A raised limit shortens it in proportion. */
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

/** In how many ms one more request is admitted. A sixth of the limit (at least one) may come at once, the rest evenly. */
export function requestWaitMs(aheadMs: number, limit: number): number {
  const eachMs = MINUTE_MS / limit;
  return waitMs(aheadMs + eachMs - Math.ceil(limit * BURST) * eachMs);
}

/** In how many ms a call is admitted: when the bytes beyond ten seconds' worth are paid for. */
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
