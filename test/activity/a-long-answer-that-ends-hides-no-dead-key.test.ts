// A provider takes a call when its answer begins. A stream that began before the key died, and ends afterwards, says nothing of the key:
// it neither ends the count of what was refused nor begins it anew.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { createActivityViews } from "../../src/activity/index.ts";
import { Ledger } from "../../src/activity/ledger.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { createPool } from "../../src/db/index.ts";
import { ended } from "../support/activity.ts";
import { openWithUpstream } from "../support/data-plane.ts";

test("a stream that ends after the key died leaves what was refused as it is", async (t) => {
  const plane = await openWithUpstream(t, "http://127.0.0.1:1");
  const pool = createPool(plane.database.controlUrl);
  t.after(() => pool.close());
  const views = createActivityViews({ pool, clock: systemClock });
  const { workspaceId } = plane;
  const [row] = await pool.inWorkspace(
    workspaceId,
    (sql) => sql<{ id: string }[]>`select id from x3sproxy.secrets`,
  );
  const secretId = row?.id ?? "";
  const diedMs = Date.now() - 300_000;
  const refused = (agent: string, afterMs: number) =>
    ended(
      { workspaceId, agentId: randomUUID(), agent },
      { secretId, secretVersion: 1, status: 401, endedAtMs: diedMs + afterMs },
    );
  const stream = (agent: string, status: number, afterMs: number) =>
    ended(
      { workspaceId, agentId: randomUUID(), agent },
      {
        ...{ secretId, secretVersion: 1, status, firstByteMs: 500 },
        ...{ totalMs: afterMs + 60_000, endedAtMs: diedMs + afterMs },
      },
    );
  const writer = createPool(plane.database.proxyUrl);
  t.after(() => writer.close());
  let batch = 0;
  const id = randomUUID();
  const write = async (ledger: Ledger) => {
    const rows = ledger.take(100);
    await writer.query(
      (sql) => sql`select x3sproxy.add_activity(${id}, ${++batch}, ${sql.json(rows)})`,
    );
  };
  const told = async () => [...(await views.keyRefusals(workspaceId, null)).values()][0]?.calls;

  const ledger = new Ledger(100);
  for (let n = 1; n <= 6; n++) ledger.add([refused("one", n * 1000)]);
  // In the same minute, and of the same agent; then of another one, in a later batch.
  ledger.add([stream("one", 200, 7000)]);
  await write(ledger);
  assert.equal(await told(), 6);
  ledger.add([stream("two", 101, 90_000)]);
  await write(ledger);
  assert.equal(await told(), 6);
  ledger.add([refused("one", 91_000)]);
  await write(ledger);
  assert.equal(await told(), 7);

  // One that the provider takes afterwards does end it, however long it lasts.
  ledger.add([
    ended(
      { workspaceId, agentId: randomUUID(), agent: "two" },
      { secretId, secretVersion: 1, totalMs: 50_000, firstByteMs: 0, endedAtMs: diedMs + 150_000 },
    ),
  ]);
  await write(ledger);
  assert.equal(await told(), undefined);
});
