import assert from "node:assert/strict";
import { test } from "node:test";
import { ended } from "../support/activity.ts";
import { eventually } from "../support/eventually.ts";
import { createTcpGate, type GateMode } from "../support/tcp-gate.ts";
import { openActivity, valueOf } from "./fixture.ts";

for (const mode of ["refuse", "silent", "hang-up"] as const satisfies GateMode[]) {
  test(`a database that does not answer (${mode}) loses nothing`, async (t) => {
    const { database, openRecorder, written, agent } = await openActivity(t);
    const gate = await createTcpGate(database.proxyUrl);
    t.after(() => gate.close());
    const recorder = openRecorder({ url: gate.url });
    recorder.start(() => []);
    recorder.add([ended(agent)]);
    await eventually(async () => (await written()) === 1);

    await gate.set(mode);
    recorder.add([ended(agent), ended(agent)]);
    await eventually(() => recorder.lines.some((line) => line.includes("activity not written")));
    recorder.add([ended(agent)]);
    await recorder.metrics.text();
    assert.ok((await valueOf(recorder.metrics.activityLagSeconds)) > 0);

    await gate.set("open");
    await eventually(async () => (await written()) === 4, 15_000);
    await eventually(async () => {
      await recorder.metrics.text();
      return (await valueOf(recorder.metrics.activityLagSeconds)) === 0;
    });
    assert.equal(await valueOf(recorder.metrics.activityDropped), 0);
  });
}

test("a stop without a database ends in time, and says what is lost", async (t) => {
  const { database, openRecorder, agent } = await openActivity(t);
  const gate = await createTcpGate(database.proxyUrl);
  t.after(() => gate.close());
  await gate.set("silent");
  const recorder = openRecorder({ url: gate.url });
  recorder.add([ended(agent), ended(agent)]);
  const startMs = performance.now();
  await recorder.close();
  assert.ok(performance.now() - startMs < 4000);
  const lost = recorder.lines.find((line) => line.includes("activity lost"));
  assert.match(lost ?? "", /"count":2/);
});
