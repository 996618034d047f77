// A stop takes nothing back that was begun: a call of the admin API ends as it would have, and a second signal is for whoever
// doesn't want to wait.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test, type TestContext } from "node:test";
import postgres from "postgres";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService } from "../support/service.ts";
import { createWireUpstream, head, openWireClient } from "../support/wire.ts";

async function start(t: TestContext, env: Record<string, string> = {}) {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const service = await runService({
    database,
    env: { X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8", ...env },
  });
  t.after(() => service.remove());
  const said = (text: string) => eventually(() => service.output.stdout.includes(text));
  return { database, service, said };
}

test("a call of the admin API that waits for the database is answered; its connection ends with it", async (t) => {
  const { database, service, said } = await start(t);
  const owner = postgres(database.ownerUrl, { max: 2, onnotice: () => undefined });
  t.after(() => owner.end());
  const { promise: mayGo, resolve: unlock } = Promise.withResolvers<undefined>();
  const { promise: locked, resolve: isLocked } = Promise.withResolvers<undefined>();
  const holding = owner.begin(async (sql) => {
    await sql`lock table x3sproxy.agents in access exclusive mode`;
    isLocked(undefined);
    await mayGo;
  });
  await locked;
  const client = await openWireClient(Number(new URL(service.adminUrl).port));
  const key = `Authorization: Bearer ${service.apiKey}`;
  client.send(
    `GET /api/v1/agents HTTP/1.1\r\nHost: ${new URL(service.adminUrl).host}\r\n${key}\r\n\r\n`,
  );
  const waiting = () =>
    owner<{ n: number }[]>`
      select count(*)::int as n from pg_locks where not granted and database =
        (select oid from pg_database where datname = current_database())`;
  await eventually(async () => (await waiting())[0]?.n === 1);
  const exited = once(service.process, "exit");
  service.process.kill("SIGTERM");
  await said('"msg":"stopping"');
  const ready = await fetch(`${service.metricsUrl}/readyz`);
  assert.equal(ready.status, 503);
  assert.deepEqual(await ready.json(), { status: "not ready", reason: "draining" });
  unlock(undefined);
  await holding;
  assert.equal((await client.answer()).status, 200);
  const answeredMs = performance.now();
  assert.equal(await client.ended(), "fin");
  assert.deepEqual(await exited, [0, null]);
  assert.ok(performance.now() - answeredMs < 5000, "an idle connection does not hold it up");
  assert.match(service.output.stdout, /"msg":"admin request".*"route":"\/api\/v1\/agents"/);
});

test("a second signal ends it at once, and what it has logged is there", async (t) => {
  const upstream = await createWireUpstream();
  t.after(() => upstream.close());
  const { service, said } = await start(t, {
    X3SPROXY_ORIGIN_OPENAI: upstream.origin,
    X3SPROXY_DRAIN_DELAY: "20s",
  });
  await service.setSecret("openai", "sk-proj-FAKE-openai-key-of-a-second-signal-77");
  const client = await openWireClient(Number(new URL(service.proxyUrl).port));
  client.send(head(await service.deploy("impatient"), "/openai/v1/responses"));
  await (await upstream.connection()).head();
  const exited = once(service.process, "exit") as Promise<[number]>;
  service.process.kill("SIGTERM");
  await said('"msg":"stopping"');
  const startMs = performance.now();
  const again = setInterval(() => service.process.kill("SIGTERM"), 200);
  t.after(() => clearInterval(again));
  assert.equal((await exited)[0], 1);
  assert.ok(performance.now() - startMs < 3000);
  const lines = service.output.stdout.trimEnd().split("\n");
  for (const line of lines) assert.doesNotThrow(() => JSON.parse(line) as unknown);
});
