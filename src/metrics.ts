// The metrics registry and every metric's name. Label values come from fixed sets only, never from a client:
// a provider label is a built-in name or "custom".
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";

const SECONDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Makes the metrics. One set for each process. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  const publishers: (() => void)[] = [];
  const collect = (): void => {
    for (const publish of publishers) publish();
  };
  collectDefaultMetrics({ register: registry });
  return {
    /** For what is counted elsewhere, more cheaply: `publish` is called before the metrics are read. */
    beforeScrape(publish: () => void): void {
      publishers.push(publish);
    },
    contentType: registry.contentType,
    /** The Prometheus text. */
    text: () => registry.metrics(),
    exchanges: new Counter({
      name: "x3sproxy_exchanges_total",
      help: "Exchanges ended, by provider, status class and outcome.",
      labelNames: ["provider", "status_class", "outcome"],
      registers,
      collect,
    }),
    refusals: new Counter({
      name: "x3sproxy_refusals_total",
      help: "Requests that the proxy answered itself, by reason.",
      labelNames: ["reason"],
      registers,
      collect,
    }),
    firstByteSeconds: new Histogram({
      name: "x3sproxy_first_byte_seconds",
      help: "From the request's header section until the response's, by provider.",
      labelNames: ["provider"],
      buckets: SECONDS,
      registers,
      collect,
    }),
    openExchanges: new Gauge({
      name: "x3sproxy_open_exchanges",
      help: "Exchanges under way, WebSockets included.",
      registers,
      collect,
    }),
    cacheLookups: new Counter({
      name: "x3sproxy_token_cache_lookups_total",
      help: "Token look-ups by result: hit, negative (known to be unknown) or miss.",
      labelNames: ["result"],
      registers,
      collect,
    }),
    activityDropped: new Counter({
      name: "x3sproxy_activity_dropped_total",
      help: "Exchanges missing from the activity: there was no room to add them up, or the database refused them.",
      registers,
      collect,
    }),
    activityLagSeconds: new Gauge({
      name: "x3sproxy_activity_lag_seconds",
      help: "For how long the oldest activity has been waiting to be written.",
      registers,
      collect,
    }),
    limitsShared: new Gauge({
      name: "x3sproxy_limits_shared",
      help: "1 while limits are counted over all processes, through Redis; 0 while this process counts for itself.",
      registers,
    }),
    limitsFallbacks: new Counter({
      name: "x3sproxy_limits_fallbacks_total",
      help: "Calls under limits that were counted by this process alone though REDIS_URL is set, because Redis did not answer.",
      registers,
    }),
    unusualUses: new Counter({
      name: "x3sproxy_unusual_uses_total",
      help: "Uses that this process was the first to see an agent make, past the agent's first hour: of a provider, a path or a source address.",
      labelNames: ["kind"],
      registers,
    }),
    cutRecordsLost: new Counter({
      name: "x3sproxy_cut_records_lost_total",
      help: "Events of cut calls that are missing from the audit: the database was away for too long.",
      registers,
    }),
    notificationsHealthy: new Gauge({
      name: "x3sproxy_notifications_healthy",
      help: "1 while database notifications arrive in time, 0 otherwise.",
      registers,
    }),
  };
}

export type Metrics = ReturnType<typeof createMetrics>;
