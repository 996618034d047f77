// A write whose answer is lost may have been committed. It is sent again, and counts once.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pool } from "../../src/db/index.ts";
import { StoreUnavailableError } from "../../src/platform/errors.ts";
import { ended } from "../support/activity.ts";
import { eventually } from "../support/eventually.ts";
import { openActivity } from "./fixture.ts";

test("when the answer to a committed write is lost", async (t) => {
  const { openRecorder, written, agent } = await openActivity(t);
  let calls = 0;
  const losing = (pool: Pool): Pool => ({
    ...pool,
    async query(fn) {
      const result = await pool.query(fn);
      if (++calls === 1) throw new StoreUnavailableError("the answer was lost");
      return result;
    },
  });
  const recorder = openRecorder({ wrap: losing });
  recorder.add([ended(agent), ended(agent)]);
  await recorder.close(); // tries twice
  assert.equal(calls, 2);
  assert.equal(await written(), 2);
});

test("a batch that the database refuses is given up after three tries, and the next is written", async (t) => {
  const { openRecorder, written, agent, owner } = await openActivity(t);
  const recorder = openRecorder();
  recorder.add([ended({ ...agent, agent: "NOT A NAME" })]);
  recorder.start(() => []);
  await eventually(() => recorder.lines.some((line) => line.includes("activity given up")), 15_000);
  recorder.add([ended(agent)]);
  await recorder.close();
  assert.equal(await written(), 1);
  assert.match(await recorder.metrics.text(), /^x3sproxy_activity_dropped_total 1$/m);
  assert.equal((await owner`select from x3sproxy.activity_minutes`).length, 1);
});
