// A dead key shows: how many calls of how many agents its provider refused since the last one that it took, until it takes one or another
// key takes its place.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { createActivityViews } from "../../src/activity/index.ts";
import { Ledger } from "../../src/activity/ledger.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { createPool } from "../../src/db/index.ts";
import { withOwner } from "../../src/db/connection.ts";
import { ended } from "../support/activity.ts";
import { ask } from "../support/attack.ts";
import { openWithUpstream } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";

async function open(t: TestContext) {
  const answer = { status: 200 };
  const upstream = await createHttpUpstream((_request, response) => {
    response.writeHead(answer.status).end("{}");
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const pool = createPool(plane.database.controlUrl);
  t.after(() => pool.close());
  const views = createActivityViews({ pool, clock: systemClock });
  const call = async (token: string, status: number, times: number) => {
    answer.status = status;
    for (let n = 0; n < times; n++) {
      const { status: got } = await ask(plane.port, [
        "GET /openai/v1/models HTTP/1.1",
        `Authorization: Bearer ${token}`,
      ]);
      assert.equal(got, status);
    }
  };
  const refusals = async (only: string[] | null = null) => [
    ...(await views.keyRefusals(plane.workspaceId, only)).values(),
  ];
  /** Until the database says so, which it is told every two seconds. */
  const until = (calls: number) =>
    eventually(async () => ((await refusals())[0]?.calls ?? 0) === calls, 20_000);
  return { plane, views, call, refusals, until };
}

test("counted by key and shown, until a call succeeds or the key is replaced", async (t) => {
  const { plane, views, call, refusals, until } = await open(t);
  const second = await plane.deploy("second");
  await call(plane.token, 200, 1);
  const startMs = Date.now();
  await call(plane.token, 401, 8);
  await call(second, 403, 3);
  await call(second, 500, 2);
  await until(11);
  const [found] = await refusals();
  assert.partialDeepStrictEqual(found, { agents: 2, status401: 8, status403: 3, status429: 0 });
  assert.ok(
    Date.parse(found?.since ?? "") >= startMs && (found?.since ?? "") <= (found?.latest ?? ""),
  );
  assert.partialDeepStrictEqual(await refusals(["agent"]), [{ calls: 8, agents: 1 }]);
  assert.deepEqual(await refusals(["second"]), [], "three are too few to be told");
  const { attention } = await views.overview(plane.workspaceId, 24, null);
  assert.deepEqual(attention, [
    {
      kind: "key_refused",
      subject: "openai/production",
      since: found?.since,
      detail: "11 calls of 2 agents in a row (8 × 401, 3 × 403)",
    },
  ]);
  const text = await plane.metrics.text();
  assert.match(text, /x3sproxy_key_refusals_total\{provider="openai",status="401"\} 8\n/);
  assert.match(text, /x3sproxy_key_refusals_total\{provider="openai",status="429"\} 0\n/);
  const count = () =>
    withOwner(plane.ownerUrl, (sql) => sql`select x3sproxy.count_refused_keys() as keys`);
  assert.deepEqual([...(await count())], [{ keys: 1 }]);

  // One call that the provider takes ends it for all, whoever made it.
  await call(second, 200, 1);
  await until(0);
  assert.deepEqual([...(await count())], [{ keys: 0 }]);
  // And what is refused afterwards is counted from then on.
  await call(plane.token, 401, 6);
  await until(6);

  await plane.save("openai", "sk-FAKE-second-key-0123456789-abcdefghij");
  assert.deepEqual(await refusals(), [], "another version has not been refused");
});

const AGENTS = ["a", "b", "c"];
const call = fc.record({
  agent: fc.constantFrom(...AGENTS),
  status: fc.constantFrom(200, 401, 403, 429, 500, 404),
  process: fc.integer({ min: 0, max: 1 }),
  writes: fc.boolean(),
});

test("whatever the order of calls and of writes, what came after the last success counts, and nothing before it", async (t) => {
  const { plane, refusals } = await open(t);
  const { workspaceId, ownerUrl } = plane;
  await withOwner(ownerUrl, async (sql) => {
    const [secret] = await sql<{ id: string }[]>`select id from x3sproxy.secrets`;
    const secretId = secret?.id ?? "";
    await fc.assert(
      fc.asyncProperty(
        fc.array(call, { maxLength: 25 }),
        fc.array(call, { maxLength: 25 }),
        async (before, after) => {
          await sql`delete from x3sproxy.activity_versions`;
          const processes = [0, 1].map(() => ({
            ledger: new Ledger(100),
            writer: randomUUID(),
            batch: 0,
          }));
          const write = async (
            { ledger, writer }: { ledger: Ledger; writer: string },
            batch: number,
          ) =>
            sql`select x3sproxy.add_activity(${writer}, ${batch}, ${sql.json(ledger.take(100))})`;
          let atMs = Date.now() - 600_000;
          const play = async (calls: typeof before) => {
            for (const { agent, status, process, writes } of calls) {
              const own = processes[process];
              assert.ok(own !== undefined);
              atMs += 7_000;
              const of = { workspaceId, agentId: randomUUID(), agent };
              own.ledger.add([ended(of, { status, secretId, secretVersion: 1, endedAtMs: atMs })]);
              if (writes) await write(own, ++own.batch);
            }
            for (const own of processes) await write(own, ++own.batch);
          };
          await play([...before, { agent: "a", status: 200, process: 0, writes: true }]);
          assert.deepEqual(await refusals(), [], "ended by a success");
          const refused = after
            .filter(({ status }) => status !== 200)
            .map((each) => ({ ...each, status: each.status === 404 ? 401 : each.status }));
          await play(refused);
          const counted = refused.filter(({ status }) => [401, 403, 429].includes(status));
          const agents = new Set(counted.map(({ agent }) => agent));
          const [found] = await refusals();
          if (counted.length < 5) assert.equal(found, undefined);
          else assert.partialDeepStrictEqual(found, { calls: counted.length, agents: agents.size });
        },
      ),
      { seed: 18, numRuns: 40 },
    );
  });
});
