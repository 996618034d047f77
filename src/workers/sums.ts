// Combines the metrics of all workers, each metric in its own way. The counts of a worker that ended are kept, so that no counter ever goes
// back.
import prom, { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";
import { createConnectionMetrics } from "../platform/metric-labels.ts";
import type { Figures } from "./link.ts";

export interface Sums {
  /** Takes the newest figures of the worker `id`. */
  take(id: number, figures: Figures): void;
  /** Notes that the worker `id` has ended. */
  end(id: number): void;
  /** The Prometheus text of `own`, the latest figures of the workers `current`, and the counters of all ended ones. */
  text(own: Figures, current: ReadonlySet<number>): Promise<string>;
}

const COUNTING = new Set(["counter", "histogram", "summary"]);

export function createSums(): Sums {
  const newest = new Map<number, Figures>();
  let ended: Figures = [];
  return {
    take: (id, figures) => void newest.set(id, figures),
    end(id) {
      ended = sumOfCounters([ended, countersOf(newest.get(id) ?? [])]);
      newest.delete(id);
    },
    text(own, current) {
      const parts = [own, ended];
      for (const [id, figures] of newest) {
        parts.push(current.has(id) ? figures : countersOf(figures));
      }
      return prom.AggregatorRegistry.aggregate(parts).metrics();
    },
  };
}

function countersOf(figures: Figures): Figures {
  return figures.filter(({ type }) => COUNTING.has(String(type)));
}

/** Sums of counters, by name and labels. */
function sumOfCounters(parts: readonly Figures[]): Figures {
  const metrics = new Map<string, Figures[number]>();
  for (const metric of parts.flat()) {
    const values = new Map(metrics.get(metric.name)?.values.map((value) => [keyOf(value), value]));
    for (const value of metric.values) {
      const before = values.get(keyOf(value))?.value ?? 0;
      values.set(keyOf(value), { ...value, value: before + value.value });
    }
    metrics.set(metric.name, { ...metric, values: [...values.values()] });
  }
  return [...metrics.values()];
}

/** `metricName`: which of a histogram's series. */
function keyOf(value: Figures[number]["values"][number] & { metricName?: string }): string {
  const labels = Object.entries(value.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([value.metricName, labels]);
}

// The metrics of the first process, which supervises workers and serves nothing.

// The default metrics that the first process has: its share of the machine's resources.
const SHARED = /^process_(cpu|resident_memory|virtual_memory|heap|open_fds)/;
const STARTED = "process_start_time_seconds";

/** Makes the metrics of a process that only supervises workers. They take precedence over the workers' own. */
export function createPrimaryMetrics() {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  return {
    contentType: registry.contentType,
    async figures() {
      const figures = await registry.getMetricsAsJSON();
      return figures.flatMap((metric) => {
        if (metric.name === STARTED) return [{ ...metric, aggregator: "first" as const }];
        return SHARED.test(metric.name) || metric.name.startsWith("x3sproxy_") ? [metric] : [];
      });
    },
    ...createConnectionMetrics(registry),
    workers: new Gauge({
      name: "x3sproxy_workers",
      help: "Workers that serve, with X3SPROXY_WORKERS over 1.",
      registers,
    }),
    restarts: new Counter({
      name: "x3sproxy_worker_restarts_total",
      help: "Workers that ended by themselves and were started again.",
      registers,
    }),
  };
}

export type PrimaryMetrics = ReturnType<typeof createPrimaryMetrics>;
