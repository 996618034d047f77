// Whoever has the data plane's database login can add to counters, and get nothing for it.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { openClient } from "../../src/db/connection.ts";
import { newId } from "../../src/platform/ids.ts";
import { ended } from "../support/activity.ts";
import { Ledger, type SumsRow } from "../../src/activity/ledger.ts";
import { openActivity } from "./fixture.ts";

const INVALID = { code: "22023" };

async function open(t: TestContext) {
  const activity = await openActivity(t);
  const proxy = openClient(activity.database.proxyUrl, { max: 1, statementTimeoutMs: 0 });
  t.after(() => proxy.destroy());
  const ledger = new Ledger(10);
  ledger.add([ended(activity.agent)]);
  const [row] = ledger.take(1);
  assert.ok(row !== undefined);
  const add = (rows: unknown, writer = newId(), batch = 1) =>
    proxy.sql`select x3sproxy.add_activity(${writer}, ${batch}, ${proxy.sql.json(rows as SumsRow[])}) as answer`;
  return { ...activity, proxy, add, row };
}

test("the answer is empty, whatever is there", async (t) => {
  const { add, row, written } = await open(t);
  assert.deepEqual([...(await add([row]))], [{ answer: "" }]);
  assert.deepEqual([...(await add([{ ...row, workspace_id: newId() }]))], [{ answer: "" }]);
  assert.deepEqual([...(await add([]))], [{ answer: "" }]);
  assert.equal(await written(), 1, "what is for no workspace is passed over");
});

test("it can't take away, overflow, name what is no name, or write more than a batch", async (t) => {
  const { add, row, written } = await open(t);
  await add([row]);
  const bad: unknown[] = [
    [{ ...row, requests: -1 }],
    [row, { ...row, open_peak: -5 }],
    [{ ...row, response_bytes: 1e16 }],
    [{ ...row, total_ms: -0.5 }],
    [{ ...row, first_byte_ms: 1e300 }],
    [{ ...row, agent: "x".repeat(64) }],
    [{ ...row, agent: "sk-FAKE key" }],
    [{ ...row, provider: "Not a provider" }],
    { row },
    Array.from({ length: 2001 }, () => row),
  ];
  for (const rows of bad) {
    await assert.rejects(add(rows), INVALID, JSON.stringify(rows).slice(0, 200));
  }
  for (const rows of [[{ ...row, requests: null }], [{ ...row, requests: "many" }]]) {
    await assert.rejects(add(rows));
  }
  assert.equal(await written(), 1);
});

test("a time that can't be is passed over", async (t) => {
  const { add, row, written } = await open(t);
  for (const minute of ["1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z"]) {
    await add([{ ...row, minute, last_used_at: minute }]);
  }
  assert.equal(await written(), 0);
});

test("a time of a key's use that nobody can be shown is refused", async (t) => {
  const { add, row, owner } = await open(t);
  const used = { ...row, secret_id: newId(), version: 1, accepted_at: null };
  await add([used]);
  for (const time of ["-infinity", "0044-03-15 12:00:00+00 BC", "1969-12-31T23:59:59Z"]) {
    for (const bad of [
      { first_used_at: time },
      { refused_401: 6, refused_since: time, refused_at: row.last_used_at },
      { refused_401: 6, refused_since: row.last_used_at, refused_at: time },
      { accepted_at: time },
    ]) {
      await assert.rejects(add([{ ...used, secret_id: newId(), ...bad }]), { code: "23514" });
      // Where there is a row of that version already.
      await add([{ ...used, ...bad }]).catch(() => undefined);
    }
  }
  const rows = await owner<Record<string, Date | null>[]>`
    select first_used_at, refused_since, refused_at, accepted_at from x3sproxy.activity_versions`;
  assert.equal(rows.length, 1);
  for (const time of Object.values(rows[0] ?? {})) if (time !== null) assert.ok(time.getTime() > 0);
});

test("the same batch of the same writer counts once, also at the same time", async (t) => {
  const { add, row, written } = await open(t);
  const writer = newId();
  await Promise.all(Array.from({ length: 5 }, () => add([row], writer, 7)));
  await add([row], writer, 6);
  assert.equal(await written(), 1);
  await add([row], writer, 8);
  assert.equal(await written(), 2);
});

test("it can't fill a counter so that what others write, or what people read, fails", async (t) => {
  const { add, row, owner, database, workspaceId } = await open(t);
  const control = openClient(database.controlUrl, { max: 1, statementTimeoutMs: 0 });
  t.after(() => control.destroy());
  const secretId = newId();
  await owner.begin(async (sql) => {
    await sql`
      insert into x3sproxy.secrets (id, workspace_id, provider, environment, label, active_version)
      values (${secretId}, ${workspaceId}, 'openai', 'production', '', 1)`;
    await sql`insert into x3sproxy.master_keys (key_id, check_value) values ('a', '')`;
    await sql`
      insert into x3sproxy.secret_versions (secret_id, workspace_id, version, origin, key_id, wrapped_key, ciphertext, mask)
      values (${secretId}, ${workspaceId}, 1, 'https://api.example', 'a', '', '', '…')`;
  });
  const used = { ...row, secret_id: secretId, version: 1, refused_since: row.last_used_at };
  const most = 1e15;
  const counters = Object.entries(row).flatMap(([name, value]) =>
    typeof value === "number" && !["deployment", "version"].includes(name) ? [name] : [],
  );
  const full = {
    ...{ ...used, refused_at: row.last_used_at },
    ...Object.fromEntries(counters.map((name) => [name, most])),
  };
  // Each time of many agents, too: people are shown the sum.
  for (let i = 0; i < 6; i++) {
    await add(Array.from({ length: 2000 }, () => full));
    await add(Array.from({ length: 2000 }, (_, n) => ({ ...full, agent: `agent-${i}-${n}` })));
  }
  await add([used, { ...row, agent: "another", agent_id: newId() }]);
  const [other] = await owner<{ requests: string }[]>`
    select requests from x3sproxy.activity_minutes where agent = 'another'`;
  assert.equal(other?.requests, "1");
  const shown = await control.sql.begin(async (sql) => {
    await sql`select set_config('x3sproxy.workspace', ${workspaceId}, true)`;
    return sql`select calls from x3sproxy.key_refusals(${workspaceId})`;
  });
  assert.equal(shown.length, 1);
});

test("nor one of a call or a context", async (t) => {
  const { agent: of, proxy, owner } = await open(t);
  const { workspaceId, agentId, agent } = of;
  const common = { workspace_id: workspaceId, agent_id: agentId, agent, provider: "openai" };
  const place = { method: "GET", path: "/v1/models", address: "192.0.2.1" };
  const now = new Date().toISOString();
  const add = (requests: number, rows: number) => {
    const call = { ...common, ...place, hour: now, requests };
    const context = { ...common, minute: now, context: { user: "u" }, requests };
    const json = (each: object) => proxy.sql.json(Array.from({ length: rows }, () => each) as []);
    return proxy.sql`select x3sproxy.add_calls(${newId()}, 1, ${json(call)}, ${json(context)}, '[]')`;
  };
  for (let i = 0; i < 6; i++) await add(1e15, 2000);
  await add(1, 1);
  const rows = await owner`
    select requests from x3sproxy.activity_calls union all select requests from x3sproxy.activity_contexts`;
  assert.equal(rows.length, 2);
});
