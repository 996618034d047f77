import assert from "node:assert/strict";
import { test } from "node:test";
import prom from "prom-client";
import { createMetrics } from "../../src/platform/metrics.ts";
import { readSamples, valueOf } from "./exposition.ts";

test("counts add up; what all see alike stays as it is, and the worst of states is shown", async () => {
  const parts = [0, 1].map((i) => {
    const metrics = createMetrics();
    metrics.exchanges.inc({ provider: "openai", status_class: "2xx", outcome: "completed" }, 2);
    metrics.addedSeconds.of("").observe(0.0002);
    metrics.firstByteSeconds.of("openai").observe(i + 0.2);
    metrics.openExchanges.set(3);
    metrics.unusedTokenRatio.set(0.4);
    metrics.tokens.set({ use: "unused" }, 4);
    metrics.databaseUp.set(i);
    metrics.notificationLagSeconds.set(i);
    metrics.buildInfo.set({ version: "1", node: "26" }, 1);
    return metrics.figures();
  });
  const text = await prom.AggregatorRegistry.aggregate(await Promise.all(parts)).metrics();
  const of = (name: string, labels = {}) => valueOf(text, `x3sproxy_${name}`, labels);
  assert.equal(of("exchanges_total"), 4);
  assert.equal(of("added_seconds_count"), 2);
  assert.equal(of("added_seconds_bucket", { le: "0.00025" }), 2);
  assert.equal(of("first_byte_seconds_bucket", { provider: "openai", le: "0.25" }), 1);
  assert.equal(of("first_byte_seconds_bucket", { provider: "openai", le: "+Inf" }), 2);
  assert.equal(of("open_exchanges"), 6);
  assert.equal(of("processes"), 2);
  assert.equal(of("unused_token_ratio"), 0.4);
  assert.equal(of("tokens", { use: "unused" }), 4);
  assert.equal(of("database_up"), 0);
  assert.equal(of("notification_lag_seconds"), 1);
  assert.equal(of("build_info"), 1);
  const names = readSamples(text).map(({ name }) => name);
  assert.ok(!names.includes("x3sproxy_certificate_expiry_timestamp_seconds"));
});
