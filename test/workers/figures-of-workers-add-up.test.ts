// The metrics of several workers as one: counters never go back, whoever ends, and each gauge adds up in the way that its meaning has.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics, type Metrics } from "../../src/platform/metrics.ts";
import { createPrimaryMetrics } from "../../src/workers/index.ts";
import { createSums } from "../../src/workers/sums.ts";

// A new gauge belongs here, with what several of it are to one who looks at the whole service.
const GAUGES: Readonly<Record<string, string>> = {
  x3sproxy_build_info: "first",
  x3sproxy_processes: "sum",
  x3sproxy_open_exchanges: "sum",
  x3sproxy_open_websockets: "sum",
  x3sproxy_token_cache_entries: "sum",
  x3sproxy_notifications_healthy: "min",
  x3sproxy_notification_lag_seconds: "max",
  x3sproxy_tokens: "max",
  x3sproxy_unused_token_ratio: "max",
  x3sproxy_active_secrets: "max",
  x3sproxy_oldest_active_secret_age_seconds: "max",
  x3sproxy_master_key_age_seconds: "max",
  x3sproxy_audit_lag_seconds: "max",
  x3sproxy_last_backup_timestamp_seconds: "max",
  x3sproxy_limits_shared: "min",
  x3sproxy_activity_lag_seconds: "max",
  x3sproxy_database_up: "min",
  x3sproxy_refused_keys: "max",
  x3sproxy_figures_age_seconds: "max",
  x3sproxy_database_pool_size: "sum",
  x3sproxy_database_pool_in_use: "sum",
  x3sproxy_database_pool_waiting: "sum",
  x3sproxy_connections: "sum",
  x3sproxy_connections_max: "sum",
  x3sproxy_certificate_expiry_timestamp_seconds: "min",
};

test("what a worker counted stays counted when it has ended", async () => {
  const own = await createPrimaryMetrics().figures();
  const sums = createSums();
  const served = async (count: number): Promise<ReturnType<Metrics["figures"]>> => {
    const metrics = createMetrics();
    metrics.exchanges.inc({ provider: "openai", status_class: "2xx", outcome: "completed" }, count);
    for (let i = 0; i < count; i++) metrics.firstByteSeconds.of("openai").observe(0.01);
    metrics.openExchanges.set(count);
    metrics.notificationsHealthy.set(count === 3 ? 0 : 1);
    return metrics.figures();
  };
  sums.take(1, await served(3));
  sums.take(2, await served(4));
  const text = (...current: number[]): Promise<string> => sums.text(own, new Set(current));

  const both = await text(1, 2);
  assert.match(both, /^x3sproxy_exchanges_total\{.*\} 7$/m);
  assert.match(both, /^x3sproxy_first_byte_seconds_count\{.*\} 7$/m);
  assert.match(both, /^x3sproxy_first_byte_seconds_bucket\{provider="openai",le="0.025"\} 7$/m);
  assert.match(both, /^x3sproxy_open_exchanges 7$/m);
  assert.match(both, /^x3sproxy_notifications_healthy 0$/m);
  assert.equal(both.match(/^process_start_time_seconds /gm)?.length, 1);

  const oneIsLate = await text(2);
  assert.match(oneIsLate, /^x3sproxy_exchanges_total\{.*\} 7$/m, "its counters were known");
  assert.match(oneIsLate, /^x3sproxy_open_exchanges 4$/m, "what it has open is not");

  sums.end(1);
  sums.take(3, await served(5));
  const replaced = await text(2, 3);
  assert.match(replaced, /^x3sproxy_exchanges_total\{.*\} 12$/m);
  assert.match(
    replaced,
    /^x3sproxy_first_byte_seconds_bucket\{provider="openai",le="0.025"\} 12$/m,
  );
  assert.match(replaced, /^x3sproxy_open_exchanges 9$/m);
  assert.match(replaced, /^x3sproxy_notifications_healthy 1$/m);
  sums.end(2);
  sums.end(3);
  assert.match(await text(), /^x3sproxy_exchanges_total\{.*\} 12$/m);
});

test("each gauge of ours says how it adds up", async () => {
  const figures = await createMetrics().figures();
  const gauges = figures.filter(
    (it) => String(it.type) === "gauge" && it.name.startsWith("x3sproxy_"),
  );
  const found = gauges.map(({ name, aggregator }): [string, string] => [name, aggregator]);
  assert.deepEqual(Object.fromEntries(found), GAUGES);
});
