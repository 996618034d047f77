import assert from "node:assert/strict";
import { test } from "node:test";
import { newId } from "../../src/platform/ids.ts";
import { ended } from "../support/activity.ts";
import { openActivity } from "./fixture.ts";

test("past the bound what has a row is still added up, and nothing else", async (t) => {
  const { openRecorder, owner, workspaceId } = await openActivity(t);
  const recorder = openRecorder({ maxRows: 3 });
  const agents = Array.from({ length: 5 }, (_, n) => ({
    ...{ workspaceId, agentId: newId(), agent: `agent-${n}` },
  }));
  for (let round = 0; round < 2; round++) recorder.add(agents.map((agent) => ended(agent)));
  assert.match(await recorder.metrics.text(), /^x3sproxy_activity_dropped_total 4$/m);
  await recorder.close();
  const rows = await owner<{ agent: string; requests: number }[]>`
    select agent, requests::int from x3sproxy.activity_minutes order by agent`;
  assert.deepEqual(
    rows.map(({ agent, requests }) => [agent, requests]),
    [
      ["agent-0", 2],
      ["agent-1", 2],
      ["agent-2", 2],
    ],
  );
});

test("more rows than one batch takes are written in several", async (t) => {
  const { openRecorder, written, workspaceId } = await openActivity(t);
  const recorder = openRecorder();
  recorder.add(
    Array.from({ length: 2500 }, (_, n) =>
      ended({ workspaceId, agentId: newId(), agent: `agent-${n}` }),
    ),
  );
  await recorder.close();
  assert.equal(await written(), 2500);
});
