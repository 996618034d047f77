import assert from "node:assert/strict";
import { it } from "node:test";
import { insertMinute } from "../support/activity.ts";
import { openAdmin } from "./fixture.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

interface Overview {
  from: string;
  to: string;
  stepSeconds: number;
  totals: Record<string, number>;
  series: (Record<string, number> & { at: string })[];
  byProvider: Record<string, unknown>[];
  byAgent: Record<string, unknown>[];
}

const PERIODS = [
  { query: "", hours: 24, stepSeconds: 900, points: 96 },
  { query: "?hours=24", hours: 24, stepSeconds: 900, points: 96 },
  { query: "?hours=168", hours: 168, stepSeconds: 7200, points: 84 },
];

for (const { query, hours, stepSeconds, points } of PERIODS) {
  it(`/overview${query}: ${points} points, without a gap, also where nothing happened`, async (t) => {
    const { call, owner, workspaceId } = await openAdmin(t);
    const read = async (): Promise<Overview> =>
      (await call("GET", `/api/v1/overview${query}`)).body["overview"] as Overview;

    const empty = await read();
    assert.equal(empty.stepSeconds, stepSeconds);
    assert.equal(empty.series.length, points);
    const first = Date.parse(empty.from);
    assert.equal(first % (stepSeconds * 1000), 0);
    empty.series.forEach(({ at, ...counts }, index) => {
      assert.equal(Date.parse(at), first + index * stepSeconds * 1000);
      assert.deepEqual(counts, { requests: 0, errors: 0, refusals: 0, activeStreams: 0 });
    });
    const last = Date.parse(empty.series.at(-1)?.at ?? "");
    assert.ok(last <= Date.parse(empty.to) && Date.parse(empty.to) < last + stepSeconds * 1000);
    assert.deepEqual(empty.totals, {
      ...{ requests: 0, errors: 0, refusals: 0, activeStreams: 0 },
      ...{ providers: 0, agents: 0 },
    });
    assert.deepEqual([empty.byProvider, empty.byAgent], [[], []]);

    const nowMs = Date.now();
    const row = { workspaceId, agent: "coder", atMs: nowMs };
    await insertMinute(owner, { ...row, requests: 5, errors: 1, refusals: 2, open: 3 });
    await insertMinute(owner, { ...row, agent: "tester", requests: 1, open: 4 });
    await insertMinute(owner, { ...row, provider: "mistral", atMs: first, requests: 7, open: 9 });
    await insertMinute(owner, { ...row, atMs: first - MINUTE_MS, requests: 100 }); // before it all
    await insertMinute(owner, { ...row, atMs: nowMs - (hours / 2) * HOUR_MS, requests: 2 });
    const full = await read();
    assert.equal(full.series.length, points);
    assert.deepEqual(full.totals, {
      ...{ requests: 15, errors: 1, refusals: 2, activeStreams: 7 },
      ...{ providers: 2, agents: 2 },
    });
    assert.partialDeepStrictEqual(full.series[0], { requests: 7, activeStreams: 9 });
    assert.equal(
      full.series.reduce((sum, { requests }) => sum + (requests ?? 0), 0),
      15,
    );
    assert.deepEqual(full.byProvider, [
      { provider: "openai", requests: 8, errors: 1, refusals: 2 },
      { provider: "mistral", requests: 7, errors: 0, refusals: 0 },
    ]);
    assert.deepEqual(full.byAgent, [
      { agent: "coder", requests: 14, errors: 1, refusals: 2 },
      { agent: "tester", requests: 1, errors: 0, refusals: 0 },
    ]);
  });
}

it("within a step the active streams are those of its busiest minute", async (t) => {
  const { call, owner, workspaceId, clock } = await openAdmin(t);
  const nowMs = clock.nowMs();
  const stepMs = nowMs - (nowMs % (15 * MINUTE_MS));
  const row = { workspaceId, agent: "coder", requests: 0 };
  await insertMinute(owner, { ...row, atMs: stepMs - 3 * MINUTE_MS, open: 2 });
  await insertMinute(owner, { ...row, atMs: stepMs - 2 * MINUTE_MS, open: 5 });
  await insertMinute(owner, { ...row, atMs: stepMs - 2 * MINUTE_MS, open: 6, provider: "groq" });
  await insertMinute(owner, { ...row, atMs: stepMs - MINUTE_MS, open: 1 });
  const { series } = (await call("GET", "/api/v1/overview")).body["overview"] as Overview;
  assert.equal(series.at(-2)?.["activeStreams"], 11);
});

it("any other period is refused", async (t) => {
  const { call } = await openAdmin(t);
  for (const query of ["?hours=23", "?hours=", "?hours=24&hours=168", "?days=1"]) {
    assert.equal((await call("GET", `/api/v1/overview${query}`)).status, 422, query);
  }
});
