import assert from "node:assert/strict";
import { once } from "node:events";
import { it } from "node:test";
import { createBackups, lastBackupAt, newIdentity, openStream } from "../../src/backup/index.ts";
import { createPool } from "../../src/db/index.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { openAdmin } from "../admin/fixture.ts";
import { actorIn } from "../support/actor.ts";
import { eventually } from "../support/eventually.ts";
import { takeApart } from "./fixture.ts";

it("a backup that did not arrive to its end counts as none, however late that is known", async (t) => {
  const { owner, workspaceId, database, clock } = await openAdmin(t);
  const pool = createPool(database.controlUrl);
  const metrics = createMetrics();
  const log = createLog({ level: "error", destination: { write: () => undefined } });
  const backups = createBackups({ pool, ownerUrl: database.ownerUrl, clock, log, metrics });
  t.after(() => backups.close().then(() => pool.close()));
  const { identity, recipient } = await newIdentity();
  const create = () => backups.create(actorIn(workspaceId), [recipient]);
  const results = async () =>
    (
      await owner<{ result: string }[]>`
        select result from x3sproxy.audit_events where action = 'backup.create' order by id`
    ).map(({ result }) => result);
  const gauge = async () => (await metrics.lastBackup.get()).values[0]?.value ?? 0;
  await eventually(async () => (await metrics.lastBackup.get()).values.length > 0);

  // So small that its end is said to be read before anybody has taken a byte of it.
  const lost = await create();
  await eventually(async () => (await results()).join() === "begun,done");
  lost.stream.destroy();
  await eventually(async () => (await results()).join() === "begun,done,broken_off");
  assert.equal(await gauge(), 0);
  assert.equal(await lastBackupAt(owner), undefined);

  const whole = await eventually(() => create().catch(() => undefined));
  const closed = once(whole.stream, "close");
  await takeApart(() => openStream(whole.stream, { identities: [identity] }));
  await closed;
  assert.deepEqual((await results()).slice(3), ["begun", "done"]);
  await eventually(async () => (await gauge()) > 0);
  const at = await lastBackupAt(owner);
  assert.ok(at !== undefined);

  // The one before it is still one.
  const later = await eventually(() => create().catch(() => undefined));
  await eventually(async () => (await results()).length === 7);
  later.stream.destroy();
  await eventually(async () => (await results()).at(-1) === "broken_off");
  assert.deepEqual(await lastBackupAt(owner), at);
});
