import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { openClient } from "../../src/db/connection.ts";
import { newId } from "../../src/platform/ids.ts";
import { ended } from "../support/activity.ts";
import { openActivity } from "./fixture.ts";

const HOUR_MS = 3_600_000;

async function open(t: TestContext) {
  const activity = await openActivity(t);
  const { owner } = activity;
  return {
    ...activity,
    calls: async () => [
      ...(await owner<
        { provider: string; method: string; path: string; address: string; requests: number }[]
      >`
        select provider, method, path, address, sum(requests)::int as requests from x3sproxy.activity_calls
        group by 1, 2, 3, 4 order by 5 desc, 1, 2, 3, 4`),
    ],
    contexts: async () => [
      ...(await owner<{ context: Record<string, string>; requests: number }[]>`
        select context, requests::int from x3sproxy.activity_contexts order by requests desc, context_hash`),
    ],
  };
}

test("calls that went up, by provider, method, path and address; no others", async (t) => {
  const { openRecorder, agent, calls, owner } = await open(t);
  const nowMs = Date.now();
  const recorders = [openRecorder(), openRecorder()];
  for (const recorder of recorders) {
    recorder.add([
      ...Array.from({ length: 3 }, () => ended(agent)),
      ended(agent, { outcome: "upstream_broke", status: 500 }),
      ended(agent, { outcome: "refused", path: "/v1/refused" }),
      ended(agent, { provider: undefined, path: "/_x3sproxy/token" }),
      ended(agent, { method: "GET" }),
      ended(agent, { address: undefined }),
      ended(agent, { path: "/v1/not-to-be-kept", recordedPath: "" }),
      ended(agent, { endedAtMs: nowMs - HOUR_MS }),
      ended(agent, { endedAtMs: nowMs - 90 * HOUR_MS }),
      ended({ ...agent, workspaceId: newId(), agentId: newId() }),
    ]);
  }
  await Promise.all(recorders.map((recorder) => recorder.close()));
  const row = {
    ...{ provider: "openai", method: "POST", path: "/v1/responses", address: "192.0.2.1" },
  };
  assert.deepEqual(await calls(), [
    { ...row, requests: 10 },
    { ...row, method: "GET", requests: 2 },
    { ...row, path: "", requests: 2 },
    { ...row, address: "", requests: 2 },
  ]);
  const hours = await owner<{ hour: Date }[]>`select distinct hour from x3sproxy.activity_calls`;
  assert.equal(hours.length, 2);
  assert.ok(hours.every(({ hour }) => hour.getTime() % HOUR_MS === 0));
});

test("past 200 rows of an agent in a batch, and 500 in an hour, the rest is added up without more", async (t) => {
  const { openRecorder, agent, calls } = await open(t);
  for (let process = 0; process < 4; process++) {
    const recorder = openRecorder();
    recorder.add(
      Array.from({ length: 250 }, (_, n) => ended(agent, { path: `/v1/${process}/${n}` })),
    );
    recorder.add([ended({ ...agent, agentId: newId() })]);
    await recorder.close();
    assert.deepEqual(recorder.lines, []);
  }
  const rows = await calls();
  const [rest, other] = rows;
  assert.deepEqual(rest, { provider: "", method: "", path: "", address: "", requests: 501 });
  assert.equal(other?.requests, 4, "another agent's are its own");
  assert.equal(rows.length, 1 + 499 + 1);
  assert.equal(
    rows.reduce((sum, { requests }) => sum + requests, 0),
    4 * 251,
  );
});

test("five contexts a minute, agent and provider, over all processes; of refused calls, too", async (t) => {
  const { openRecorder, agent, contexts, owner } = await open(t);
  const endedAtMs = Date.now();
  const about = (run: string, of = {}) =>
    ended(agent, { endedAtMs, context: { user: "alice", run }, ...of });
  const first = openRecorder();
  first.add([about("1"), about("1"), about("2"), about("3", { outcome: "refused" }), ended(agent)]);
  first.add([ended(agent, { endedAtMs, context: { run: "1", user: "alice" } })]);
  await first.close();
  assert.deepEqual(
    (await contexts()).map(({ requests }) => requests),
    [3, 1, 1],
    "in whichever order the headers come",
  );
  const others = Array.from({ length: 3 }, () => openRecorder());
  for (const [n, recorder] of others.entries()) {
    recorder.add([about("1"), about(`x${n}`), about(`y${n}`), about(`z${n}`)]);
  }
  await Promise.all(others.map((recorder) => recorder.close()));
  const found = await contexts();
  assert.equal(found.length, 5);
  assert.deepEqual(found[0], { context: { run: "1", user: "alice" }, requests: 6 });
  const crowd = openRecorder();
  crowd.add(
    Array.from({ length: 9 }, (_, n) =>
      ended(agent, { endedAtMs, provider: "groq", context: { n: String(n) } }),
    ),
  );
  await crowd.close();
  const counts = await owner`select from x3sproxy.activity_contexts where provider = 'groq'`;
  assert.equal(counts.length, 5);
});

test("whoever has the data plane's login can't get past the bounds, nor count a batch twice", async (t) => {
  const { database, workspaceId, calls, contexts, owner } = await open(t);
  const proxy = openClient(database.proxyUrl, { max: 1, statementTimeoutMs: 0 });
  t.after(() => proxy.destroy());
  const call = {
    ...{ workspace_id: workspaceId, agent_id: newId(), hour: new Date().toISOString() },
    ...{ provider: "openai", method: "GET", path: "/v1", address: "", requests: 1 },
  };
  const context = {
    ...{ workspace_id: workspaceId, minute: new Date().toISOString(), agent: "a", provider: "" },
    ...{ context: { run: "1" }, requests: 1 },
  };
  const use = {
    ...{ workspace_id: workspaceId, agent_id: newId(), kind: "path", value: "x" },
    ...{ address: null, first_used_at: new Date().toISOString() },
  };
  const add = (
    rows: { calls?: object[]; contexts?: object[]; uses?: object[] },
    writer = newId(),
    batch = 1,
  ) => {
    const { sql } = proxy;
    const json = (value: object[] = []) => sql.json(value as never);
    return sql`select x3sproxy.add_calls(${writer}, ${batch}, ${json(rows.calls)}, ${json(rows.contexts)},
      ${json(rows.uses)}) as answer`;
  };
  for (const bad of [
    ...[
      { requests: -1 },
      { requests: 1e16 },
      { path: `/${"x".repeat(200)}` },
      { path: "no-slash" },
      { method: "get" },
      { method: "X".repeat(21) },
      { address: "sk-FAKE" },
      { provider: "Not one" },
    ].map((it) => ({ calls: [call, { ...call, ...it }] })),
    ...[
      { requests: -1 },
      { agent: "Not One" },
      { context: {} },
      { context: { UPPER: "1" } },
      { context: { run: 1 } },
      { context: { run: "" } },
      { context: { run: "x".repeat(201) } },
      { context: { run: "a\nb" } },
      { context: Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`n${n}`, "v"])) },
      { context: ["run"] },
    ].map((it) => ({ contexts: [context, { ...context, ...it }] })),
    ...[{ kind: "other" }, { value: "" }, { value: "x".repeat(201) }].map((it) => ({
      uses: [use, { ...use, ...it }],
    })),
    { calls: Array.from({ length: 2001 }, () => call) },
  ]) {
    await assert.rejects(add(bad), { code: "22023" }, JSON.stringify(bad).slice(0, 400));
  }
  assert.deepEqual([await calls(), await contexts()], [[], []]);
  const writer = newId();
  const batch = { calls: [call], contexts: [context], uses: [use] };
  const twice = await Promise.all([add(batch, writer, 2), add(batch, writer, 2)]);
  await add(batch, writer, 1);
  assert.deepEqual(
    twice.map(([row]) => row),
    [{ answer: {} }, { answer: {} }],
  );
  assert.deepEqual([(await calls())[0]?.requests, (await contexts())[0]?.requests], [1, 1]);
  assert.equal((await owner`select from x3sproxy.agent_first_uses`).length, 0, "of no agent");
  await assert.rejects(proxy.sql`select from x3sproxy.activity_calls`, { code: "42501" });
});
