// The metrics registry, with every metric. Label values come from fixed sets, never from a client: a provider's label is a built-in name or
// "custom". A gauge says how the values of several processes are combined, if not by their sum. docs/monitoring.md explains each metric.
import { Counter, Gauge, Registry, collectDefaultMetrics, type Aggregator } from "prom-client";
import { Histogram } from "./histogram.ts";
import {
  API_KEY_REFUSALS,
  createConnectionMetrics,
  EVICTION_REASONS,
  JOB_NAMES,
  PROOF_RESULTS,
  SIGN_IN_METHODS,
  SIGN_IN_RESULTS,
} from "./metric-labels.ts";
import { REFUSAL_KINDS } from "./refusal-kinds.ts";

const SECONDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const TOTAL_SECONDS = [0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900];
const ADDED_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5,
];
const QUERY_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

// No grant is used for longer than the last bound.
const AGE_SECONDS = [1, 5, 15, 30, 45, 60];

// Gauges whose names end in _total, which only counters may. Their sum can be had by type.
const MISNAMED = ["handles", "requests", "resources"].map((name) => `nodejs_active_${name}_total`);

/** Makes the metrics. One set for each process. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  const publishers: (() => void)[] = [];
  let isPublished = false;
  /** prom-client collects all metrics in one turn, so read the value only once. */
  const collect = (): void => {
    if (isPublished) return;
    isPublished = true;
    queueMicrotask(() => (isPublished = false));
    for (const publish of publishers) publish();
  };
  collectDefaultMetrics({ register: registry });
  for (const misnamed of MISNAMED) registry.removeSingleMetric(misnamed);

  const counter = <L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
  ) => new Counter<L>({ name: `x3sproxy_${name}`, help, labelNames, registers, collect });
  const gauge = <L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    aggregator: Aggregator = "sum",
  ) => new Gauge<L>({ name: `x3sproxy_${name}`, help, labelNames, aggregator, registers, collect });
  /** A gauge that doesn't exist before its value is known: 0 would be taken for a value. */
  const unknownGauge = (name: string, help: string, aggregator: Aggregator): Gauge => {
    const made = gauge(name, help, [], aggregator);
    made.remove();
    return made;
  };
  const histogram = (name: string, help: string, bounds: readonly number[], label?: string) =>
    new Histogram({
      ...{ name: `x3sproxy_${name}`, help, bounds, registry, collect },
      ...(label === undefined ? {} : { label }),
    });

  const metrics = {
    /** For counts that are kept elsewhere at less cost: `publish` is called before the metrics are read. */
    beforeScrape: (publish: () => void): void => void publishers.push(publish),
    contentType: registry.contentType,
    /** The Prometheus text. */
    text: (): Promise<string> => registry.metrics(),
    /** The same as data, for the process that combines those of the workers. */
    figures: () => registry.getMetricsAsJSON(),
    buildInfo: gauge(
      "build_info",
      "1; which x3sproxy and Node this is.",
      ["version", "node"],
      "first",
    ),
    processes: gauge("processes", "Processes that these metrics are of, added up."),

    // Traffic.
    exchanges: counter(
      "exchanges_total",
      "Exchanges ended, by provider, status class and outcome.",
      ["provider", "status_class", "outcome"],
    ),
    refusals: counter("refusals_total", "Requests that the proxy answered itself, by reason.", [
      "reason",
      "kind",
    ]),
    firstByteSeconds: histogram(
      "first_byte_seconds",
      "From the request's header section until the response's, by provider.",
      SECONDS,
      "provider",
    ),
    exchangeSeconds: histogram(
      "exchange_duration_seconds",
      "From the request's header section until the end of an exchange that was forwarded, by provider.",
      TOTAL_SECONDS,
      "provider",
    ),
    addedSeconds: histogram(
      "added_seconds",
      "What the proxy itself added until an answer began: without waiting for the upstream, for the client's body and for a connection.",
      ADDED_SECONDS,
    ),
    requestBytes: counter(
      "request_bytes_total",
      "Bytes of bodies and messages sent up, counted as an exchange ends.",
      ["provider"],
    ),
    responseBytes: counter(
      "response_bytes_total",
      "Bytes of bodies and messages sent down, counted as an exchange ends.",
      ["provider"],
    ),
    openExchanges: gauge("open_exchanges", "Exchanges under way, WebSockets included."),
    openWebsockets: gauge("open_websockets", "WebSockets under way."),

    // Tokens.
    cacheLookups: counter(
      "token_cache_lookups_total",
      "Token look-ups by result: hit, negative (known to be unknown) or miss.",
      ["result"],
    ),
    cacheEvictions: counter(
      "token_cache_evictions_total",
      "Grants that left the token cache: after a change, at the end of their time, or because there was no room.",
      ["reason"],
    ),
    cacheEntries: gauge(
      "token_cache_entries",
      "What the token cache holds: grants, and tokens known to be unknown.",
      ["kind"],
    ),
    cacheAgeSeconds: histogram(
      "token_cache_age_seconds",
      "How old a grant from the token cache was when it was used.",
      AGE_SECONDS,
    ),
    notificationsHealthy: gauge(
      "notifications_healthy",
      "1 while database notifications arrive in time, 0 otherwise.",
      [],
      "min",
    ),
    notificationLagSeconds: gauge(
      "notification_lag_seconds",
      "The last heartbeat's way through the database and back; while none comes back, how long that has been so.",
      [],
      "max",
    ),
    notificationGaps: counter(
      "notification_gaps_total",
      "How often everything was forgotten because notifications may have been missed.",
    ),
    tokens: gauge(
      "tokens",
      "Live tokens of deployments: used; unused for a day and more; new, younger and not used yet.",
      ["use"],
      "max",
    ),
    unusedTokenRatio: unknownGauge(
      "unused_token_ratio",
      "The share of live tokens that nobody has used though they are older than a day.",
      "max",
    ),
    activeSecrets: gauge(
      "active_secrets",
      "Active versions of keys up to an age in days.",
      ["max_age_days"],
      "max",
    ),
    oldestSecretSeconds: unknownGauge(
      "oldest_active_secret_age_seconds",
      "Age of the oldest active version of a key; 0 without any.",
      "max",
    ),
    masterKeySeconds: unknownGauge(
      "master_key_age_seconds",
      "Age of the newest master key.",
      "max",
    ),

    // Limits, activity, audit.
    auditLagSeconds: unknownGauge(
      "audit_lag_seconds",
      "Age of the oldest event of the audit that has yet to be sealed; 0 without any.",
      "max",
    ),
    lastBackup: unknownGauge(
      "last_backup_timestamp_seconds",
      "When the last backup was made whole, as far as this process knows, Unix time; 0 when there is none.",
      "max",
    ),
    checkpointsSent: counter(
      "checkpoints_sent_total",
      "Checkpoints of the audit sent to destinations of the settings, by destination and result.",
      ["destination", "result"],
    ),
    jobFailures: counter("job_failures_total", "Runs of background jobs that failed, by job.", [
      "name",
    ]),
    cutRecordsLost: counter(
      "cut_records_lost_total",
      "Events of cut calls that are missing from the audit: the database was away for too long.",
    ),
    limitsShared: gauge(
      "limits_shared",
      "1 while limits are counted over all processes, through Redis; 0 while this process counts for itself.",
      [],
      "min",
    ),
    limitsFallbacks: counter(
      "limits_fallbacks_total",
      "Calls under limits that were counted by this process alone though REDIS_URL is set, because Redis did not answer.",
    ),
    unusualUses: counter(
      "unusual_uses_total",
      "Uses that this process was the first to see an agent make, past the agent's first hour: of a provider, a path or a source address.",
      ["kind"],
    ),
    keyRefusals: counter(
      "key_refusals_total",
      "Answers 401, 403 and 429 of providers to calls with a real key.",
      ["provider", "status"],
    ),
    activityDropped: counter(
      "activity_dropped_total",
      "Exchanges missing from the activity: there was no room to add them up, or the database refused them.",
    ),
    activityLagSeconds: gauge(
      "activity_lag_seconds",
      "For how long the oldest activity has been waiting to be written.",
      [],
      "max",
    ),

    // The database.
    databaseUp: unknownGauge(
      "database_up",
      "1 if the last look at the database's figures succeeded, 0 otherwise.",
      "min",
    ),
    refusedKeys: unknownGauge(
      "refused_keys",
      "Active keys that their provider refuses: 401, 403 or, within 15 minutes, 429 to five calls or more since the last that it took.",
      "max",
    ),
    figuresAgeSeconds: unknownGauge(
      "figures_age_seconds",
      "Since when the figures from the database have not been renewed: tokens, keys, audit.",
      "max",
    ),
    poolSize: gauge("database_pool_size", "Connections that a pool may have.", ["pool"]),
    poolInUse: gauge("database_pool_in_use", "Connections of a pool that are at work.", ["pool"]),
    poolWaiting: gauge(
      "database_pool_waiting",
      "Calls that wait for one of a pool's connections.",
      ["pool"],
    ),
    querySeconds: histogram(
      "database_query_seconds",
      "How long a call to the database took, waiting for a connection included; transactions as one.",
      QUERY_SECONDS,
      "pool",
    ),
    queryFailures: counter(
      "database_query_failures_total",
      "Calls to the database that failed: late (past our deadline), unavailable, or rejected by the server.",
      ["pool", "reason"],
    ),

    // The log.
    logLinesDropped: counter(
      "log_lines_dropped_total",
      "Lines missing from the log: nobody took them, and there was no more room for them to wait.",
    ),

    // People.
    signIns: counter("sign_ins_total", "Attempts to sign in, by method and result.", [
      "method",
      "result",
    ]),
    proofs: counter(
      "proofs_total",
      "Proofs again by password or code of people who are signed in, by result.",
      ["result"],
    ),
    apiKeyRefusals: counter(
      "api_key_refusals_total",
      "API keys refused: unknown, from another address, or too many.",
      ["reason"],
    ),
    adminRequests: counter("admin_requests_total", "Requests to the admin side by status class.", [
      "status_class",
    ]),

    // The process.
    ...createConnectionMetrics(registry),
    loopActiveSeconds: counter(
      "event_loop_active_seconds_total",
      "How long the event loop was at work; its rate is the utilisation, 0 to 1.",
    ),
    certificateExpiry: unknownGauge(
      "certificate_expiry_timestamp_seconds",
      "When our certificate ends, Unix time.",
      "min",
    ),
  };
  startAtZero(metrics);
  metrics.processes.set(1);
  publishers.push(publishLoop(metrics.loopActiveSeconds));
  return metrics;
}

export type Metrics = ReturnType<typeof createMetrics>;

/** Adds the time that the event loop was busy since the last call. */
function publishLoop(counter: Counter): () => void {
  let countedMs = 0;
  return () => {
    const { active } = performance.eventLoopUtilization();
    counter.inc(Math.max(0, active - countedMs) / 1000);
    countedMs = Math.max(countedMs, active);
  };
}

/** Makes the series of all labels that are known, so that a first event is seen as an increase. */
function startAtZero(metrics: Metrics): void {
  for (const [reason, kind] of Object.entries(REFUSAL_KINDS)) {
    metrics.refusals.inc({ reason, kind }, 0);
  }
  for (const reason of EVICTION_REASONS) metrics.cacheEvictions.inc({ reason }, 0);
  for (const result of ["hit", "negative", "miss"]) metrics.cacheLookups.inc({ result }, 0);
  for (const destination of ["file", "url", "syslog"]) {
    for (const result of ["ok", "failed"]) metrics.checkpointsSent.inc({ destination, result }, 0);
  }
  for (const kind of ["provider", "path", "address"]) metrics.unusualUses.inc({ kind }, 0);
  for (const method of SIGN_IN_METHODS) {
    for (const result of SIGN_IN_RESULTS) metrics.signIns.inc({ method, result }, 0);
  }
  for (const name of JOB_NAMES) metrics.jobFailures.inc({ name }, 0);
  for (const result of PROOF_RESULTS) metrics.proofs.inc({ result }, 0);
  for (const reason of API_KEY_REFUSALS) metrics.apiKeyRefusals.inc({ reason }, 0);
}
