import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { newId } from "../../src/platform/ids.ts";
import { ended } from "../support/activity.ts";
import { eventually } from "../support/eventually.ts";
import { openActivity, type OpenRecorder } from "./fixture.ts";

const HOUR_MS = 3_600_000;

async function open(t: TestContext) {
  const activity = await openActivity(t);
  const { owner, workspaceId } = activity;
  const addAgent = async (name: string) => {
    const agent = { workspaceId, agentId: newId(), agent: name };
    await owner`
      insert into x3sproxy.agents (id, workspace_id, name, environment)
      values (${agent.agentId}, ${workspaceId}, ${name}, 'production')`;
    return agent;
  };
  return {
    ...activity,
    addAgent,
    /** As if all that there is had been used so much earlier. */
    age: (ms: number) =>
      owner`update x3sproxy.agent_first_uses set first_used_at = first_used_at - ${ms} * interval '1 millisecond'`,
    events: async () => [
      ...(await owner<Record<string, unknown>[]>`
        select actor_kind, actor_name, address, action, target_kind, target_id, target_name, result
        from x3sproxy.audit_events order by id`),
    ],
  };
}

async function unusual({ metrics }: OpenRecorder): Promise<Record<string, number>> {
  const { values } = await metrics.unusualUses.get();
  const counted = values.filter(({ value }) => value !== 0);
  return Object.fromEntries(counted.map(({ labels, value }) => [String(labels.kind), value]));
}

test("within the first hour nothing is; after it each new provider, path and address is, once", async (t) => {
  const { openRecorder, addAgent, age, events, owner } = await open(t);
  const agent = await addAgent("coder");
  const use = async (...calls: Parameters<typeof ended>[1][]): Promise<Record<string, number>> => {
    const recorder = openRecorder();
    recorder.add(calls.map((call) => ended(agent, call)));
    await recorder.close();
    assert.deepEqual(recorder.lines, []);
    return unusual(recorder);
  };
  assert.deepEqual(await use({}, { provider: "mistral" }, { path: "/v1/files" }), {});
  await age(HOUR_MS - 30_000);
  assert.deepEqual(await use({ path: "/v1/batches" }), {}, "it is still learning");
  await age(60_000);
  assert.deepEqual(await use({}, { path: "/v1/batches" }), {}, "all of it is known");
  const file = { method: "GET", path: "/v1/files/file-abc12345" };
  assert.deepEqual(await use({ provider: "groq" }, { address: "2001:db8::1" }, file), {
    provider: 1,
    path: 2, // groq's, and the file's
    address: 1,
  });
  const again = { ...file, path: "/v1/files/file-xyz98765" };
  assert.deepEqual(await use({ provider: "groq" }, { address: "2001:db8::2" }, again), {});
  const found = await events();
  const target = {
    ...{ actor_kind: "service", actor_name: "x3sproxy", action: "agent.unusual" },
    ...{ target_kind: "agent", target_id: agent.agentId, target_name: "coder" },
  };
  assert.deepEqual(
    found.toSorted((a, b) => (String(a["result"]) < String(b["result"]) ? -1 : 1)),
    [
      { ...target, address: "2001:db8::1", result: "address 2001:db8::/64" },
      { ...target, address: "192.0.2.1", result: "path GET /openai/v1/files/*" },
      { ...target, address: "192.0.2.1", result: "path POST /groq/v1/responses" },
      { ...target, address: "192.0.2.1", result: "provider groq" },
    ],
  );
  assert.equal((await owner`select from x3sproxy.agent_first_uses where unusual`).length, 4);
});

test("of several processes at once exactly one finds it", async (t) => {
  const { openRecorder, addAgent, age, events } = await open(t);
  const agents = await Promise.all(["a", "b", "c"].map(addAgent));
  const first = openRecorder();
  first.add(agents.map((agent) => ended(agent)));
  await first.close();
  await age(2 * HOUR_MS);
  const recorders = Array.from({ length: 4 }, () => openRecorder());
  for (let round = 0; round < 5; round++) {
    for (const recorder of recorders) {
      recorder.add(
        agents.map((agent) =>
          ended(agent, { path: `/v1/${"abcde".charAt(round)}`, address: "192.0.2.9" }),
        ),
      );
    }
  }
  await Promise.all(recorders.map((recorder) => recorder.close()));
  const counts = await Promise.all(recorders.map(unusual));
  const sum = (kind: string): number => counts.reduce((all, each) => all + (each[kind] ?? 0), 0);
  assert.deepEqual([sum("path"), sum("address"), sum("provider")], [15, 3, 0]);
  const results = (await events()).map(
    (event) => `${String(event["target_name"])} ${String(event["result"])}`,
  );
  assert.equal(results.length, 18);
  assert.equal(new Set(results).size, 18);
  for (const recorder of recorders) assert.deepEqual(recorder.lines, []);
});

test("the database is asked once about what a process knows", async (t) => {
  const { openRecorder, addAgent } = await open(t);
  const agent = await addAgent("coder");
  const asked: string[] = [];
  const recorder = openRecorder({
    wrap: (pool) => ({
      ...pool,
      query: (fn) =>
        pool.query((sql) => {
          // Only the rows of uses are written as JSON that has this key.
          const spy = Object.assign((...given: Parameters<typeof sql>) => sql(...given), sql, {
            json: (value: unknown) => {
              const text = JSON.stringify(value);
              if (text.includes('"kind"')) asked.push(text);
              return sql.json(value as never);
            },
          });
          return fn(spy as typeof sql);
        }),
    }),
  });
  recorder.start(() => []);
  recorder.add([ended(agent)]);
  await eventually(() => asked.length === 1);
  await eventually(async () =>
    (await recorder.metrics.text()).includes("activity_lag_seconds 0\n"),
  );
  recorder.add([ended(agent), ended(agent)]);
  await recorder.close();
  assert.equal(asked.length, 1);
});

test("past 500 values of a kind there is one more, `…`, and no more events", async (t) => {
  const { openRecorder, addAgent, age, events, owner } = await open(t);
  const agent = await addAgent("crawler");
  const word = (n: number): string =>
    n.toString(26).replace(/./g, (c) => String.fromCharCode(97 + parseInt(c, 26)));
  const recorder = openRecorder();
  recorder.add(Array.from({ length: 499 }, (_, n) => ended(agent, { path: `/v1/${word(n)}` })));
  await recorder.close();
  await age(2 * HOUR_MS);
  for (let round = 0; round < 2; round++) {
    const later = openRecorder();
    later.add(Array.from({ length: 20 }, (_, n) => ended(agent, { path: `/v2/${word(n)}` })));
    await later.close();
    assert.deepEqual(await unusual(later), round === 0 ? { path: 1 } : {});
    assert.deepEqual(later.lines, []);
  }
  assert.equal((await events()).length, 1);
  const values = await owner<{ value: string }[]>`
    select value from x3sproxy.agent_first_uses where kind = 'path'`;
  assert.equal(values.length, 501);
  assert.ok(values.some(({ value }) => value === "…"));
});

test("what was refused, and whom there is no more, leaves nothing", async (t) => {
  const { openRecorder, addAgent, agent: gone, owner } = await open(t);
  const agent = await addAgent("coder");
  const recorder = openRecorder();
  recorder.add([ended(agent, { outcome: "refused" }), ended(gone)]);
  await recorder.close();
  assert.deepEqual([...(await owner`select from x3sproxy.agent_first_uses`)], []);
});
