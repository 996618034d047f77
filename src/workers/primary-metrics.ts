// The metrics of the first process, which minds workers and serves nothing.
import { Counter, Gauge, Registry, collectDefaultMetrics } from "prom-client";
import { createConnectionMetrics } from "../metric-labels.ts";

// What the first process, which serves nothing, has of the usual metrics: its share of what a machine is used for.
const SHARED = /^process_(cpu|resident_memory|virtual_memory|heap|open_fds)/;
const STARTED = "process_start_time_seconds";

/** Makes the metrics of a process that only minds workers. They go over the workers' own. */
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
