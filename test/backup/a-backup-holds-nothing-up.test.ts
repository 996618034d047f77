import assert from "node:assert/strict";
import { it } from "node:test";
import { createBackups, newIdentity, openStream } from "../../src/backup/index.ts";
import { createPool } from "../../src/db/index.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { openAdmin } from "../admin/fixture.ts";
import { actorIn } from "../support/actor.ts";
import { eventually } from "../support/eventually.ts";
import { takeApart } from "./fixture.ts";

it("a backup holds nothing up, is made one at a time, and is never without its event", async (t) => {
  const admin = await openAdmin(t);
  const { owner, workspaceId, database, clock } = admin;
  await owner`
    insert into x3sproxy.activity_calls
    select ${workspaceId}, gen_random_uuid(), now(), 'openai', 'POST', repeat('/FAKE', 40), '192.0.2.1', 1
    from generate_series(1, 40000)`;
  const pool = createPool(database.controlUrl);
  const log = createLog({ level: "error", destination: { write: () => undefined } });
  const open = () => {
    const metrics = createMetrics();
    const { ownerUrl } = database;
    return { ...createBackups({ pool, ownerUrl, clock, log, metrics, stallMs: 300 }), metrics };
  };
  const backups = open();
  t.after(() => backups.close().then(() => pool.close()));
  const { identity, recipient } = await newIdentity();
  const actor = actorIn(workspaceId);
  const create = (of = backups) => of.create(actor, [recipient]);
  const results = async () =>
    (
      await owner<{ result: string }[]>`
        select result from x3sproxy.audit_events where action = 'backup.create' order by id`
    ).map(({ result }) => result);
  const noSnapshot = () =>
    eventually(async () => {
      const held = await owner`
        select from pg_stat_activity
        where datname = current_database() and backend_xmin is not null and pid <> pg_backend_pid()`;
      return held.count === 0;
    });

  await t.test(
    "who asks while one is made is told to come back, here and at another process",
    async () => {
      const { stream } = await create();
      const other = open();
      for (const busy of [backups, other]) {
        await assert.rejects(create(busy), { status: 503, code: "busy", retryAfterS: 60 });
      }
      await other.close();
      // Nobody listens yet.
      stream.destroy(new Error("gone"));
      await eventually(async () => (await results()).includes("broken_off"));
    },
  );

  await t.test(
    "a reader that stands still loses its snapshot, and the next one gets all of it",
    async () => {
      const { stream } = await create();
      stream.on("error", () => undefined);
      await eventually(async () => (await results()).length === 4);
      await eventually(() => stream.destroyed);
      assert.deepEqual(await results(), ["begun", "broken_off", "begun", "broken_off"]);
      await noSnapshot();
      const whole = await create();
      const { rows } = await takeApart(() => openStream(whole.stream, { identities: [identity] }));
      assert.ok(rows > 40_000);
      assert.deepEqual((await results()).slice(-2), ["begun", "done"]);
      const [point] = (await backups.metrics.lastBackup.get()).values;
      assert.ok(Math.abs((point?.value ?? 0) - clock.nowMs() / 1000) < 60);
      const known = open();
      await eventually(
        async () => ((await known.metrics.lastBackup.get()).values[0]?.value ?? 0) > 0,
      );
      await known.close();
    },
  );

  await t.test("a service that stops breaks it off at once", async () => {
    const stopping = open();
    const { stream } = await create(stopping);
    await stopping.close();
    await eventually(() => stream.destroyed);
    await noSnapshot();
    await assert.rejects(create(stopping), { status: 503 });
  });

  await t.test("without the event of its beginning there is none", async () => {
    await owner`revoke insert on x3sproxy.audit_events from x3sproxy_control`;
    await assert.rejects(create());
    await owner`grant insert on x3sproxy.audit_events to x3sproxy_control`;
    await noSnapshot();
  });

  await t.test("without the event of its end it stays without its end", async () => {
    await owner.unsafe(`
      create function x3sproxy.refuse_done() returns trigger language plpgsql as
        $$ begin if new.result = 'done' then raise exception 'no'; end if; return new; end $$;
      create trigger refuse_done before insert on x3sproxy.audit_events
        for each row execute function x3sproxy.refuse_done()`);
    const { stream } = await create();
    await assert.rejects(takeApart(() => openStream(stream, { identities: [identity] })));
    await owner`drop trigger refuse_done on x3sproxy.audit_events`;
  });

  await t.test("with the database away it says so before anything is sent", async () => {
    const away = createBackups({
      ...{ pool, clock, log, metrics: createMetrics() },
      ownerUrl: "postgres://nobody@127.0.0.1:1/none",
    });
    await assert.rejects(away.create(actor, [recipient]));
    await away.close();
  });
});
