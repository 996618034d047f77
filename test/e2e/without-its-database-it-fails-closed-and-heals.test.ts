// Promise 4 on the whole product: with Postgres away, who was known a moment ago is served, everybody else is told to come
// again, nobody waits for long; and it heals by itself.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { createLookAlike } from "../../demo/look-alike/look-alike.ts";
import { newBearer, PROXY_TOKEN_PREFIX } from "../../src/platform/ids.ts";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService, type RunningService } from "../support/service.ts";
import { createTcpGate } from "../support/tcp-gate.ts";
import { ask } from "./calls.ts";
import { endPostgres, postgresOf } from "./checkout.ts";

const FAKE_KEY = "sk-proj-FAKE-openai-key-without-a-database-8888";
const ANSWERED_WITHIN_MS = 5000;
const HEALED_WITHIN_MS = 10_000;

for (const mode of ["refuse", "silent", "hang-up"] as const) {
  test(`a server that is away (${mode})`, async (t) => {
    const database = await createTestDatabase();
    t.after(() => database.drop());
    const gate = await createTcpGate(database.ownerUrl);
    t.after(() => gate.close());
    const { service, lookAlike } = await start(t, { ...database, ownerUrl: gate.url });
    const known = await service.deploy("known");
    const waiting = await service.deploy("waiting");
    const unknown = newBearer(PROXY_TOKEN_PREFIX);
    assert.equal((await ask(service, known)).status, 200);

    await gate.set(mode);
    const before = lookAlike.requests.length;
    for (const token of [waiting, unknown]) {
      const refused = await ask(service, token);
      assert.equal(refused.status, 503);
      assert.equal(refused.refusal, "store_unavailable");
      assert.match(refused.retryAfter ?? "", /^[1-9]\d?$/);
      assert.ok(refused.endMs - refused.startMs < ANSWERED_WITHIN_MS);
    }
    assert.equal(lookAlike.requests.length, before, "nothing went upstream");
    const served = await ask(service, known);
    assert.equal(served.status, 200);
    assert.ok(served.endMs - served.startMs < 1000, "and without waiting");
    await assertUnready(service);

    await gate.set("open");
    await assertHeals(t, service, waiting);
    assert.equal((await ask(service, unknown)).status, 401);
  });
}

test("the embedded Postgres, killed", async (t) => {
  const { service } = await start(t);
  t.after(() => endPostgres(service.dataDir));
  const known = await service.deploy("known");
  const waiting = await service.deploy("waiting");
  assert.equal((await ask(service, known)).status, 200);

  const first = await postgresOf(service.dataDir);
  assert.ok(first !== undefined);
  process.kill(first, "SIGKILL");
  for (let i = 0; i < 20; i++) assert.equal((await ask(service, known)).status, 200);
  const refused = await ask(service, newBearer(PROXY_TOKEN_PREFIX));
  // By the end of its wait the server may be back.
  assert.ok(refused.status === 503 || refused.status === 401, refused.text);
  assert.ok(refused.endMs - refused.startMs < ANSWERED_WITHIN_MS);

  await assertHeals(t, service, waiting);
  assert.notEqual(await postgresOf(service.dataDir), first);
  await service.deploy("afterwards");
  assert.equal(await service.stop(), 0);
});

async function start(
  t: TestContext,
  database?: { ownerUrl: string; masterKey: string },
): Promise<{ service: RunningService; lookAlike: ReturnType<typeof createLookAlike> }> {
  const lookAlike = createLookAlike({ keys: { openai: [FAKE_KEY] } });
  const origin = await lookAlike.listen();
  t.after(() => lookAlike.close());
  const service = await runService({
    ...(database !== undefined && { database }),
    env: { X3SPROXY_ORIGIN_OPENAI: origin, X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8" },
  });
  t.after(() => service.remove());
  await service.setSecret("openai", FAKE_KEY);
  return { service, lookAlike };
}

/** The admin API says so within its time, with a code, and so does the readiness. */
async function assertUnready(service: RunningService): Promise<void> {
  const startMs = performance.now();
  const [list, ready] = await Promise.all([
    fetch(`${service.adminUrl}/api/v1/agents`, {
      headers: { authorization: `Bearer ${service.apiKey}` },
    }),
    fetch(`${service.metricsUrl}/readyz`),
  ]);
  assert.ok(performance.now() - startMs < ANSWERED_WITHIN_MS);
  assert.equal(list.status, 503);
  assert.match(list.headers.get("retry-after") ?? "", /^[1-9]/);
  assert.equal(((await list.json()) as { code: string }).code, "store_unavailable");
  assert.equal(ready.status, 503);
  await ready.body?.cancel();
  assert.equal((await fetch(`${service.metricsUrl}/healthz`)).status, 200);
}

async function assertHeals(t: TestContext, service: RunningService, token: string): Promise<void> {
  const startMs = performance.now();
  await eventually(async () => (await ask(service, token)).status === 200, HEALED_WITHIN_MS);
  t.diagnostic(`healed after ${Math.round(performance.now() - startMs)} ms`);
  const readyz = `${service.metricsUrl}/readyz`;
  await eventually(async () => (await fetch(readyz)).status === 200, HEALED_WITHIN_MS);
  assert.ok(performance.now() - startMs < HEALED_WITHIN_MS);
}
