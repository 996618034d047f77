import assert from "node:assert/strict";
import { test } from "node:test";
import { newId } from "../../src/platform/ids.ts";
import { ended } from "../support/activity.ts";
import { openActivity } from "./fixture.ts";

const MINUTE_MS = 60_000;

test("counts, status classes, refusals, broken ones, bytes and times", async (t) => {
  const { openRecorder, owner, agent } = await openActivity(t);
  const recorder = openRecorder();
  recorder.add([
    ended(agent),
    ended(agent, { status: 302 }),
    ended(agent, { status: 404 }),
    ended(agent, { status: 503 }),
    ended(agent, { status: 101, totalMs: 1000 }),
    ended(agent, { outcome: "upstream_broke" }),
    ended(agent, { outcome: "client_left", status: undefined, firstByteMs: undefined }),
    ended(agent, { outcome: "refused", status: 403, firstByteMs: undefined, responseBytes: 0 }),
    ended(agent, { outcome: "refused", status: 502, firstByteMs: undefined, responseBytes: 0 }),
  ]);
  await recorder.close();
  const rows = await owner<Record<string, unknown>[]>`
    select requests::int, status_2xx::int as s2, status_3xx::int as s3, status_4xx::int as s4, status_5xx::int as s5,
      status_none::int as none, errors::int, refusals::int, broken::int, request_bytes::int, response_bytes::int,
      first_byte_count::int, first_byte_ms, total_count::int, total_ms, agent, provider, workspace_id
    from x3sproxy.activity_minutes`;
  assert.deepEqual(
    [...rows],
    [
      {
        ...{ requests: 9, s2: 3, s3: 1, s4: 2, s5: 2, none: 1 },
        ...{ errors: 4, refusals: 2, broken: 2 },
        ...{ request_bytes: 90, response_bytes: 700 },
        ...{ first_byte_count: 6, first_byte_ms: 120, total_count: 7, total_ms: 1300 },
        ...{ agent: "worker", provider: "openai", workspace_id: agent.workspaceId },
      },
    ],
  );
});

test("a row for each minute in which one ended, each agent and each provider", async (t) => {
  const { openRecorder, owner, agent } = await openActivity(t);
  const recorder = openRecorder();
  const nowMs = Date.now() - (Date.now() % MINUTE_MS);
  const other = { ...agent, agentId: newId(), agent: "other" };
  recorder.add([
    ended(agent, { endedAtMs: nowMs - 1, totalMs: 5 * MINUTE_MS }),
    ended(agent, { endedAtMs: nowMs }),
    ended(agent, { endedAtMs: nowMs, provider: "mistral" }),
    ended(agent, { endedAtMs: nowMs, provider: undefined }),
    ended(other, { endedAtMs: nowMs }),
    ended(agent, { endedAtMs: nowMs }),
  ]);
  await recorder.close();
  const rows = await owner<Record<string, unknown>[]>`
    select extract(epoch from minute) * 1000 = ${nowMs} as now, agent, provider, requests::int
    from x3sproxy.activity_minutes order by minute, agent, provider`;
  assert.deepEqual(
    [...rows].map(({ now, agent, provider, requests }) => [now, agent, provider, requests]),
    [
      [false, "worker", "openai", 1],
      [true, "other", "openai", 1],
      [true, "worker", "", 1],
      [true, "worker", "mistral", 1],
      [true, "worker", "openai", 2],
    ],
  );
});

test("two agents of one name in one minute, the second made after the first was destroyed, share a row", async (t) => {
  const { openRecorder, written, agent } = await openActivity(t);
  const recorder = openRecorder();
  recorder.add([ended(agent), ended({ ...agent, agentId: newId() })]);
  await recorder.close();
  assert.equal(await written(), 2);
});

test("what has no known agent is nobody's", async (t) => {
  const { openRecorder, owner, agent } = await openActivity(t);
  const recorder = openRecorder();
  const nobody = { workspaceId: undefined, agentId: undefined, agent: undefined };
  recorder.add([ended(agent, { ...nobody, outcome: "refused", status: 401 })]);
  await recorder.close();
  assert.equal((await owner`select from x3sproxy.activity_minutes`).length, 0);
  assert.equal((await owner`select from x3sproxy.activity_agents`).length, 0);
});
