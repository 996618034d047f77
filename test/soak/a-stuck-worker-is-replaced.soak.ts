// A worker whose event loop stands still: it is noticed by its silence within a minute, killed and replaced.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService } from "../support/service.ts";

const NOTICED_WITHIN_MS = 60_000;

test("a stopped worker", async (t) => {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const service = await runService({ database, env: { X3SPROXY_WORKERS: "2" } });
  t.after(() => service.remove());
  const children = execFileSync("pgrep", ["-P", String(service.process.pid)], { encoding: "utf8" });
  const stuck = Number(children.trim().split("\n")[0]);
  process.kill(stuck, "SIGSTOP");
  const startMs = performance.now();
  await eventually(
    () => /a worker answers nothing and is killed[^\n]*\n/.test(service.output.stdout),
    NOTICED_WITHIN_MS,
  );
  t.diagnostic(`noticed after ${Math.round(performance.now() - startMs)} ms`);
  await eventually(async () => {
    const text = await (await fetch(`${service.metricsUrl}/metrics`)).text();
    return /^x3sproxy_workers 2$/m.test(text) && /^x3sproxy_worker_restarts_total 1$/m.test(text);
  }, NOTICED_WITHIN_MS);
  assert.equal(await service.stop(), 0);
});
