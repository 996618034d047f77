// The metrics of all workers as one: each metric added up in its own way. What a worker counted stays counted when it has ended,
// so that no counter ever goes back.
import prom from "prom-client";
import type { Figures } from "./messages.ts";

export interface Sums {
  /** The newest figures of the worker `id`. */
  take(id: number, figures: Figures): void;
  /** The worker `id` has ended. */
  end(id: number): void;
  /** The Prometheus text over `own`, what was taken of the workers `current`, and the counters of all others. */
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

/** Adds up counters alone: by name, and by labels. */
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

/** `metricName`: which of a histogram's several. */
function keyOf(value: Figures[number]["values"][number] & { metricName?: string }): string {
  const labels = Object.entries(value.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([value.metricName, labels]);
}
