import assert from "node:assert/strict";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { pathToFileURL } from "node:url";
import { createBackups, newIdentity, openStream } from "../../src/backup/index.ts";
import { createPool, migrate } from "../../src/db/index.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { openAdmin } from "../admin/fixture.ts";
import { actorIn } from "../support/actor.ts";
import { eventually } from "../support/eventually.ts";
import { takeApart } from "./fixture.ts";

const SQL = new URL("../../sql/migrations/", import.meta.url);

it("a migration waits for the backup that is being made, and meanwhile nobody waits for the migration", async (t) => {
  const { owner, workspaceId, database, clock } = await openAdmin(t);
  await owner`
    insert into x3sproxy.activity_calls
    select ${workspaceId}, gen_random_uuid(), now(), 'openai', 'POST', repeat('/FAKE', 40), '192.0.2.1', 1
    from generate_series(1, 40000)`;
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-migration-"));
  t.after(() => rm(folder, { recursive: true }));
  await cp(SQL, folder, { recursive: true });
  await writeFile(
    join(folder, "9999_later.sql"),
    "alter table x3sproxy.proxy_tokens add column later int;",
  );
  const pool = createPool(database.controlUrl);
  const calls = createPool(database.proxyUrl, { deadlineMs: 2000 });
  const log = createLog({ level: "error", destination: { write: () => undefined } });
  const metrics = createMetrics();
  const backups = createBackups({ pool, ownerUrl: database.ownerUrl, clock, log, metrics });
  t.after(async () => {
    await backups.close();
    await calls.close();
    await pool.close();
  });
  const { identity, recipient } = await newIdentity();
  const create = () => backups.create(actorIn(workspaceId), [recipient]);
  const { stream } = await create();

  const migrated = migrate(database.ownerUrl, { migrations: pathToFileURL(`${folder}/`) });
  await eventually(async () => {
    const waiting = await owner`
      select from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and pid <> pg_backend_pid()`;
    return waiting.count > 0;
  });
  await calls.query((sql) => sql`select * from x3sproxy.resolve_token(${Buffer.alloc(32)})`);
  await owner`select count(*) from x3sproxy.proxy_tokens`;

  const { header } = await takeApart(() => openStream(stream, { identities: [identity] }));
  assert.ok(header.migrations.every(({ name }) => !name.startsWith("9999")));
  assert.deepEqual(await migrated, ["9999_later.sql"]);
});
