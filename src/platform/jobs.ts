// Runs background jobs at their intervals. A job never overlaps with itself and never delays another one. A failed run is counted and
// logged, and the job runs again at its next time. Must never end the service.
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "./clock.ts";
import { errorFields, type Log } from "./log.ts";
import type { JobName } from "./metric-labels.ts";
import type { Metrics } from "./metrics.ts";

export interface Job {
  /** In the log and in the metrics. */
  readonly name: JobName;
  /** From the beginning of a run to that of the next, give or take a twentieth. */
  readonly everyMs: number;
  /** After this time a run is told to end. */
  readonly withinMs: number;
  /** The log's message when a run fails. */
  readonly failure: string;
  /** Must end soon after `signal` is aborted. */
  run(signal: AbortSignal): Promise<unknown>;
  /** Runs once more when the service stops. */
  last?(): Promise<unknown>;
}

export interface JobRunner {
  /** Runs each job now, and then at its interval. */
  start(): void;
  /** Ends running jobs, then calls each job's `last` in the order of the list. Never rejects. */
  stop(): Promise<void>;
}

const JITTER = 0.05;
const STOP_WITHIN_MS = 10_000;
// While a job keeps failing, its log line is repeated after this time.
const SAID_EVERY_MS = 3_600_000;
const PAUSE_MS = 100;

export function createJobRunner(
  jobs: readonly Job[],
  { log, metrics }: { log: Log; metrics: Pick<Metrics, "jobFailures"> },
): JobRunner {
  const clock = systemClock;
  const stopping = new AbortController();
  const running = new Set<AbortController>();
  let loops: Promise<void>[] | undefined;

  const isStopping = (): boolean => stopping.signal.aborted;

  async function repeat(job: Job): Promise<void> {
    let saidMs: number | undefined;
    while (!isStopping()) {
      const begunMs = clock.monotonicMs();
      try {
        await runOnce(job);
        saidMs = undefined;
      } catch (error) {
        const nowMs = clock.monotonicMs();
        metrics.jobFailures.inc({ name: job.name });
        const isNews = saidMs === undefined || nowMs - saidMs >= SAID_EVERY_MS;
        if (isNews && !isStopping()) {
          saidMs = nowMs;
          log.warn(job.failure, { part: job.name, ...errorFields(error) });
        }
      }
      const everyMs = job.everyMs * (1 - JITTER + 2 * JITTER * Math.random());
      await pause(Math.max(0, everyMs - (clock.monotonicMs() - begunMs)), stopping.signal);
    }
  }

  async function runOnce(job: Job): Promise<void> {
    const ending = new AbortController();
    const late = setTimeout(() => {
      ending.abort();
      log.warn("a job takes too long: it is told to end", {
        ...{ part: job.name, durationMs: job.withinMs },
      });
    }, job.withinMs).unref();
    running.add(ending);
    try {
      await job.run(ending.signal);
    } finally {
      running.delete(ending);
      clearTimeout(late);
    }
  }

  return {
    start() {
      loops = jobs.map(repeat);
    },
    async stop() {
      if (loops === undefined) return;
      stopping.abort();
      for (const ending of running) ending.abort();
      const late = new AbortController();
      await Promise.race([Promise.all(loops), delay(STOP_WITHIN_MS, undefined, late)]);
      late.abort();
      for (const job of jobs) {
        try {
          await job.last?.();
        } catch (error) {
          metrics.jobFailures.inc({ name: job.name });
          log.warn(job.failure, { part: job.name, ...errorFields(error) });
        }
      }
    },
  };
}

/**
 * Repeats `doPart` until a part has fewer than `partSize` rows or `signal` is aborted, so that no single statement takes long. Resolves to
 * the number of all rows.
 */
export async function inParts(
  doPart: () => Promise<number>,
  partSize: number,
  signal?: AbortSignal,
): Promise<number> {
  let total = 0;
  for (;;) {
    const count = await doPart();
    total += count;
    if (count < partSize || signal?.aborted === true) return total;
    await delay(PAUSE_MS, undefined, { ref: false });
  }
}

/** Resolves early when `signal` is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return delay(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
