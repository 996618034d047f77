// GCRA, the generic cell rate algorithm: one timestamp for each limit, up to which its use is paid for. It is smooth: no window has an edge
// around which twice as much could pass. Source: ITU-T I.371 and ATM Forum, Traffic Management 4.1 (virtual scheduling); for requests: Brandur
// Leach, "Rate Limiting, Cells, and GCRA", brandur.org/rate-limiting. Must never read a clock. redis-script.ts has the same in Lua,
// postgres-store.ts in SQL; test/limits holds memory and Redis to the same answers.
import type { RefusalReason } from "../platform/errors.ts";

const MINUTE_MS = 60_000;
/** What may be used at once, as a part of a minute's limit: ten seconds' worth. */
const BURST = 1 / 6;
/** The longest debt, however much an open stream has carried. */
const MAX_DEBT_MS = 24 * 3_600_000;
// For errors of rounding in sums of fractions.
const ROUNDING_MS = 0.001;

export type LimitReason = Extract<
  RefusalReason,
  "rate_limited" | "too_many_streams" | "too_many_bytes"
>;

export interface LimitRefusal {
  readonly reason: LimitReason;
  /** When a retry may succeed: whole seconds, at least 1. */
  readonly retryAfterS: number;
}

/** The use of one limit. Times are monotonic milliseconds; a limit is in units a minute. */
export class Meter {
  /** Until when the use so far is paid for: the "theoretical arrival time" of GCRA. */
  #paidAtMs = 0;
  /** The limit with which `#paidAtMs` was computed. */
  #limit = 1;

  /** How far the use is ahead of the clock, in milliseconds. If the limit was raised since, it is shorter in proportion. */
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

/** In how many milliseconds one more request is admitted; 0: now. A sixth of the limit may come at once, at least one request, then evenly. */
export function requestWaitMs(aheadMs: number, limit: number): number {
  const eachMs = MINUTE_MS / limit;
  return waitMs(aheadMs + eachMs - Math.ceil(limit * BURST) * eachMs);
}

/** In how many milliseconds a call is admitted; 0: now. Its bytes are known only later, so use beyond ten seconds' worth is a debt first. */
export function bytesWaitMs(aheadMs: number): number {
  return waitMs(aheadMs - MINUTE_MS * BURST);
}

/** The refusal that tells a client to wait. */
export function refusal(reason: LimitReason, waitMs: number): LimitRefusal {
  return { reason, retryAfterS: Math.max(1, Math.ceil((waitMs - ROUNDING_MS) / 1000)) };
}

function waitMs(excessMs: number): number {
  return excessMs > ROUNDING_MS ? excessMs : 0;
}
