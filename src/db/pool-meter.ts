// A pool in the metrics: how many calls are under way, how long each took, and which failed why.
import { systemClock } from "../platform/clock.ts";
import type { PoolName } from "../platform/metric-labels.ts";
import type { Metrics } from "../platform/metrics.ts";
import { codeOf } from "../platform/unknown-values.ts";

export interface PoolMeter {
  /** A call begins; gives the time to hand to `ended`. */
  begun(): number;
  /** `error`: what the call failed with; `outcome`: what that amounts to. */
  ended(begunMs: number, outcome: "answered" | "late" | "unavailable", error?: unknown): void;
}

// Of Postgres: five characters (its manual, appendix A). Other errors are those of the work in the transaction, not of the database.
const SQLSTATE = /^[0-9A-Z]{5}$/;

/** `size`: how many connections the pool may have. */
export function createPoolMeter(metrics: Metrics, pool: PoolName, size: number): PoolMeter {
  const seconds = metrics.querySeconds.of(pool);
  let underWay = 0;
  for (const reason of ["late", "unavailable", "rejected"]) {
    metrics.queryFailures.inc({ pool, reason }, 0);
  }
  metrics.poolSize.set({ pool }, size);
  metrics.beforeScrape(() => {
    metrics.poolInUse.set({ pool }, Math.min(underWay, size));
    metrics.poolWaiting.set({ pool }, Math.max(0, underWay - size));
  });
  return {
    begun() {
      underWay++;
      return systemClock.monotonicMs();
    },
    ended(begunMs, outcome, error) {
      underWay--;
      seconds.observe((systemClock.monotonicMs() - begunMs) / 1000);
      const isRejected = outcome === "answered" && SQLSTATE.test(codeOf(error) ?? "");
      const reason = isRejected ? "rejected" : outcome;
      if (reason !== "answered") metrics.queryFailures.inc({ pool, reason });
    },
  };
}
