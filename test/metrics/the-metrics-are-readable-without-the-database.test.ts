import assert from "node:assert/strict";
import { test } from "node:test";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService } from "../support/service.ts";
import { createTcpGate } from "../support/tcp-gate.ts";
import { valueOf } from "./exposition.ts";

test("/metrics and /healthz answer at once while Postgres is away, or does not answer; /readyz says that it is not", async (t) => {
  const database = await createTestDatabase();
  const gate = await createTcpGate(database.ownerUrl);
  const service = await runService({
    database: { ownerUrl: gate.url, masterKey: database.masterKey },
  });
  t.after(async () => {
    await gate.set("refuse");
    await service.remove();
    await gate.close();
    await database.drop();
  });
  const read = async (): Promise<string> => {
    const answer = await fetch(`${service.metricsUrl}/metrics`, {
      signal: AbortSignal.timeout(1000),
    });
    assert.equal(answer.status, 200);
    return answer.text();
  };
  const statusOf = async (path: string): Promise<number> =>
    (await fetch(service.metricsUrl + path)).status;
  await eventually(async () => valueOf(await read(), "x3sproxy_database_up") === 1);
  for (const mode of ["silent", "refuse"] as const) {
    await gate.set(mode);
    // What it found a moment ago, it says for a moment.
    await eventually(async () => (await statusOf("/readyz")) === 503);
    assert.equal(await statusOf("/healthz"), 200);
    const text = await read();
    assert.equal(valueOf(text, "x3sproxy_build_info"), 1);
    assert.ok(valueOf(text, "process_start_time_seconds") > 0);
    assert.ok(valueOf(text, "x3sproxy_event_loop_active_seconds_total") > 0);
  }
  await eventually(async () => valueOf(await read(), "x3sproxy_notifications_healthy") === 0);
  assert.ok(valueOf(await read(), "x3sproxy_figures_age_seconds") > 0);
});
