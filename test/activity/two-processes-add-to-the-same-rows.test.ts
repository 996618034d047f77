import assert from "node:assert/strict";
import { test } from "node:test";
import { newId } from "../../src/platform/ids.ts";
import { ended } from "../support/activity.ts";
import { eventually } from "../support/eventually.ts";
import { openActivity } from "./fixture.ts";

const RECORDERS = 4;
const BATCHES = 50;
const BATCH = 200;
const AGENTS = 40;
const MINUTES = 5;

test("the sums are right, whoever writes when", async (t) => {
  const { openRecorder, owner, agent, written } = await openActivity(t);
  const agents = Array.from({ length: AGENTS }, (_, n) => ({
    ...{ workspaceId: agent.workspaceId, agentId: newId(), agent: `agent-${n}` },
  }));
  const secretId = newId();
  const nowMs = Date.now();
  const recorders = Array.from({ length: RECORDERS }, () => openRecorder());
  for (const recorder of recorders) recorder.start(() => []);
  await Promise.all(
    recorders.map(async (recorder, which) => {
      for (let batch = 0; batch < BATCHES; batch++) {
        // Each in another order, so that rows would be locked crosswise.
        recorder.add(
          Array.from({ length: BATCH }, (_, n) => {
            const at = which % 2 === 0 ? n : BATCH - 1 - n;
            const of = agents[at % AGENTS] ?? agent;
            const endedAtMs = nowMs - (at % MINUTES) * 60_000;
            return ended(of, { endedAtMs, secretId, secretVersion: 1 + (at % 2) });
          }),
        );
        await new Promise((resolve) => setImmediate(resolve));
      }
    }),
  );
  const all = RECORDERS * BATCHES * BATCH;
  await eventually(async () => (await written()) === all, 20_000);
  const rows = await owner<{ bytes: number }[]>`
    select request_bytes::float8 as bytes from x3sproxy.activity_minutes`;
  assert.equal(
    rows.reduce((sum, { bytes }) => sum + bytes, 0),
    all * 10,
  );
  const versions = await owner<{ version: number; requests: number }[]>`
    select version, sum(requests)::float8 as requests from x3sproxy.activity_versions group by 1 order by 1`;
  assert.deepEqual(
    versions.map(({ requests }) => requests),
    [all / 2, all / 2],
  );
  for (const recorder of recorders) {
    await recorder.close();
    assert.deepEqual(recorder.lines, [], "no deadlock, no retry");
  }
  assert.equal(await written(), all, "and nothing twice");
});
