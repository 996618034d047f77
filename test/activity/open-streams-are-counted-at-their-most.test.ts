import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test } from "node:test";
import postgres from "postgres";
import { systemClock } from "../../src/platform/clock.ts";
import { openWithUpstream } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { openActivity } from "./fixture.ts";

const STREAMS = 7;

test("streams that are open at once are seen while they are open, and counted once", async (t) => {
  const open: ServerResponse[] = [];
  const upstream = await createHttpUpstream((_request, response) => {
    response.write("data: 1\n\n");
    open.push(response);
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const owner = postgres(plane.ownerUrl, { max: 1 });
  t.after(() => owner.end());
  const peak = async (): Promise<{ open: number; requests: number }> => {
    const [row] = await owner<{ open: number; requests: number }[]>`
      select coalesce(max(open), 0)::float8 as open, coalesce(sum(requests), 0)::float8 as requests
      from (select sum(open_peak) as open, sum(requests) as requests
        from x3sproxy.activity_minutes group by minute) each`;
    return row ?? { open: 0, requests: 0 };
  };

  const call = (): Promise<Response> =>
    fetch(`${plane.url}/openai/v1/responses`, {
      headers: { authorization: `Bearer ${plane.token}` },
    });
  const streams = await Promise.all(Array.from({ length: STREAMS }, call));
  await eventually(async () => (await peak()).open === STREAMS);
  assert.equal((await peak()).requests, 0, "none has ended");
  const [agent] = await owner`select last_used_at from x3sproxy.activity_agents`;
  assert.ok(agent !== undefined, "an agent with an open stream is in use");

  for (const response of open.splice(0)) response.end();
  await Promise.all(streams.map((stream) => stream.text()));
  for (let n = 0; n < 5; n++) {
    const one = call();
    await eventually(() => open.length === 1);
    open.splice(0).forEach((response) => response.end());
    await (await one).text();
  }
  await plane.drain();
  assert.deepEqual(await peak(), { open: STREAMS, requests: STREAMS + 5 });
});

test("a stream that stays open shows in each minute; two processes' streams add up", async (t) => {
  const { openRecorder, owner, agent } = await openActivity(t);
  const calls = { ...agent, deployment: 1, provider: "openai" };
  let nowMs = Date.now() - (Date.now() % 60_000) - 5 * 60_000 + 2000;
  const clock = { ...systemClock, nowMs: () => nowMs };
  for (const streams of [2, 3]) {
    const recorder = openRecorder({ clock });
    recorder.start(() => [{ ...calls, now: streams, most: streams }]);
    await recorder.close();
  }
  nowMs += 60_000;
  const later = openRecorder({ clock });
  later.start(() => [{ ...calls, now: 1, most: 1 }]);
  await later.close();
  const rows = await owner<{ open: number }[]>`
    select open_peak::int as open from x3sproxy.activity_minutes order by minute`;
  assert.deepEqual(
    rows.map(({ open }) => open),
    [5, 1],
  );
});
