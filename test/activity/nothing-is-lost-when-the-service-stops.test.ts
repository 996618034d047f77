import assert from "node:assert/strict";
import { test } from "node:test";
import postgres from "postgres";
import { createTestDatabase } from "../support/database.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { runService } from "../support/service.ts";

const REQUESTS = 150;
const AT_ONCE = 10;

test("two processes, stopped right after their last answers, have all of them in the tables", async (t) => {
  const upstream = await createHttpUpstream((_request, response) => response.end("{}"));
  t.after(() => upstream.close());
  const database = await createTestDatabase();
  const owner = postgres(database.ownerUrl, { max: 1 });
  t.after(async () => {
    await owner.end();
    await database.drop();
  });
  const env = {
    X3SPROXY_ORIGIN_OPENAI: upstream.origin,
    X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
  };
  const one = await runService({ database, env });
  t.after(() => one.remove());
  const other = await runService({ database, env, apiKey: one.apiKey });
  t.after(() => other.remove());
  await one.setSecret("openai", "sk-proj-FAKE-activity-at-stop-0000-1111");
  const token = await one.deploy("worker");

  await Promise.all(
    [one, other].map(async (service) => {
      for (let n = 0; n < REQUESTS; n += AT_ONCE) {
        const calls = Array.from({ length: AT_ONCE }, async () => {
          const response = await fetch(`${service.proxyUrl}/openai/v1/models`, {
            headers: { authorization: `Bearer ${token}` },
          });
          assert.equal(response.status, 200);
          await response.text();
        });
        await Promise.all(calls);
      }
      assert.equal(await service.stop(), 0);
    }),
  );
  const [row] = await owner<Record<string, unknown>[]>`
    select sum(requests)::int as requests, sum(status_2xx)::int as good, min(agent) as agent from x3sproxy.activity_minutes`;
  assert.deepEqual(row, { requests: 2 * REQUESTS, good: 2 * REQUESTS, agent: "worker" });
  const [use] = await owner`select requests::int, version from x3sproxy.activity_versions`;
  assert.deepEqual(use, { requests: 2 * REQUESTS, version: 1 });
});
