// With REDIS_URL: real processes count together, one that is killed leaves nothing for good, and nobody is told the password.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLookAlike } from "../../demo/look-alike/look-alike.ts";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis.ts";
import { runService, type RunningService } from "../support/service.ts";

const KEY = "sk-proj-FAKE-shared-limits-0000-8888";
const PASSWORD = "FAKE-redis-password-9876543210";
const LEASE_MS = 60_000;

test("two services on one Redis, one of them killed", async (t) => {
  const redis = await startRedis(t, { password: PASSWORD });
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const lookAlike = createLookAlike({ keys: { openai: [KEY] } });
  const env = {
    X3SPROXY_ORIGIN_OPENAI: await lookAlike.listen(),
    X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
    REDIS_URL: redis.url,
  };
  t.after(() => lookAlike.close());
  const one = await runService({ database, env });
  t.after(() => one.remove());
  const other = await runService({ database, env, apiKey: one.apiKey });
  t.after(() => other.remove());
  for (const service of [one, other]) {
    await eventually(async () => /^x3sproxy_limits_shared 1$/m.test(await metricsOf(service)));
  }
  await one.setSecret("openai", KEY);

  const limited = await one.deploy("limited", "--requests-per-minute", "6");
  assert.equal(await refusalAt(one, limited), null);
  assert.equal(await refusalAt(other, limited), "rate_limited");

  const streaming = await one.deploy("streaming", "--open-streams", "1");
  const stream = await chat(other, streaming, "hang");
  assert.equal(stream.status, 200);
  assert.equal(await refusalAt(one, streaming), "too_many_streams");
  await other.kill();
  await stream.text().catch(() => undefined);
  const keys = (await redis.command("KEYS", "x3sproxy:*:open")) as string[];
  assert.ok(keys.length > 0);
  for (const key of keys) {
    const leftMs = Number(await redis.command("PTTL", key));
    assert.ok(leftMs > 0 && leftMs <= LEASE_MS + 1000, "what nobody renews goes");
  }

  const startMs = performance.now();
  assert.equal(await one.stop(), 0);
  assert.ok(performance.now() - startMs < 5000);
  const clients = String(await redis.command("CLIENT", "LIST"))
    .trim()
    .split("\n");
  assert.equal(clients.length, 1, "only the one that asks is left");
  for (const { output } of [one, other]) {
    assert.ok(!(output.stdout + output.stderr).includes(PASSWORD));
    assert.match(output.stdout, /limits are shared/);
  }
});

test("a REDIS_URL that is none is named, and not shown", async (t) => {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  for (const url of [
    `http://:${PASSWORD}@127.0.0.1`,
    `redis://:${PASSWORD}@127.0.0.1:70000`,
    `redis://:${PASSWORD}@127.0.0.1/zero`,
    `redis://:${PASSWORD}%zz@127.0.0.1`,
    PASSWORD,
  ]) {
    await assert.rejects(
      runService({ database, env: { REDIS_URL: url } }),
      ({ message }: Error) => {
        assert.match(message, /REDIS_URL: give a URL/);
        assert.ok(!message.includes(PASSWORD));
        return true;
      },
    );
  }
});

function chat(service: RunningService, token: string, content: string): Promise<Response> {
  return fetch(`${service.proxyUrl}/openai/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "m", stream: true, messages: [{ role: "user", content }] }),
  });
}

async function refusalAt(service: RunningService, token: string): Promise<string | null> {
  const response = await chat(service, token, "hello");
  await response.body?.cancel();
  return response.headers.get("x3sproxy-refusal");
}

async function metricsOf(service: RunningService): Promise<string> {
  return (await fetch(`${service.metricsUrl}/metrics`)).text();
}
