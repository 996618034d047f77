// Nobody reads standard output, or the disk is full: calls are answered all the same, the metric says what is missing, and the end
// comes in time.
import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { createLookAlike } from "../../demo/look-alike/look-alike.ts";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService, type RunningService } from "../support/service.ts";
import { head, openWireClient } from "../support/wire.ts";
import { ask } from "./calls.ts";

const FAKE_KEY = "sk-proj-FAKE-openai-key-without-a-log-4321";
// Contexts make the longest lines that there are.
const CONTEXT = Array.from({ length: 8 }, (_, i) => `x3sproxy-context-n${i}: ${"a b ".repeat(50)}`);
const AT_ONCE = 200;

async function start(t: TestContext, env: Record<string, string>): Promise<RunningService> {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const lookAlike = createLookAlike({ keys: { openai: [FAKE_KEY] } });
  const origin = await lookAlike.listen();
  t.after(() => lookAlike.close());
  const service = await runService({
    database,
    env: {
      X3SPROXY_ORIGIN_OPENAI: origin,
      X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
      ...env,
    },
  });
  t.after(() => service.remove());
  await service.setSecret("openai", FAKE_KEY);
  return service;
}

async function droppedLines({ metricsUrl }: RunningService): Promise<number> {
  const text = await (await fetch(`${metricsUrl}/metrics`)).text();
  return Number(/^x3sproxy_log_lines_dropped_total (\d+)$/m.exec(text)?.[1]);
}

/** Refused calls with long lines, until lines are dropped. */
async function logUntilDropped(service: RunningService, token: string): Promise<void> {
  const client = await openWireClient(Number(new URL(service.proxyUrl).port));
  const call = head(token, "/anthropic/v1/messages", { headers: CONTEXT });
  while ((await droppedLines(service)) === 0) {
    client.send(call.repeat(AT_ONCE));
    for (let i = 0; i < AT_ONCE; i++) assert.equal((await client.answer()).status, 403);
  }
  client.socket.destroy();
}

for (const [title, env] of [
  ["a full disk", { X3SPROXY_LOG_FILE: "/dev/full" }],
  ["nobody reads standard output", {}],
] as const) {
  const skip = process.platform !== "linux" && "needs Linux";
  test(title, { skip }, async (t) => {
    const service = await start(t, env);
    const token = await service.deploy("agent");
    service.process.stdout?.pause();
    await logUntilDropped(service, token);
    for (let i = 0; i < 5; i++) {
      const { status, startMs, endMs } = await ask(service, token);
      assert.equal(status, 200);
      assert.ok(endMs - startMs < 1000);
    }
    assert.equal((await fetch(`${service.metricsUrl}/readyz`)).status, 200);
    const stoppedMs = performance.now();
    service.process.kill("SIGTERM");
    await eventually(() => service.process.exitCode !== null);
    assert.equal(service.process.exitCode, 0);
    assert.ok(performance.now() - stoppedMs < 6000);
  });
}

test("the log goes to standard error, or to a file that nobody else can read", async (t) => {
  const one = await start(t, { X3SPROXY_LOG_FILE: "stderr", X3SPROXY_LOG_LEVEL: "info" });
  assert.equal(await one.stop(), 0);
  assert.equal(one.output.stdout, "");
  assert.match(one.output.stderr, /"msg":"stopped"/);

  const path = join(one.dataDir, "x3sproxy.log");
  const other = await start(t, { X3SPROXY_LOG_FILE: path, X3SPROXY_LOG_LEVEL: "warn" });
  assert.equal(await other.stop(), 0);
  assert.equal(other.output.stdout, "");
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.equal(await readFile(path, "utf8"), "", "nothing of that level was said");
});
