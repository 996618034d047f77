import assert from "node:assert/strict";
import { test } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { breakAudit } from "../support/broken-audit.ts";
import { createTestDatabase } from "../support/database.ts";
import { runService } from "../support/service.ts";

interface EventRow {
  action: string;
  home: boolean;
  actor_kind: string;
  target_kind: string;
  target_id: string;
  result: string;
  detail: string;
}

test("in the home workspace, with the version; a start that can't be written down is none", async (t) => {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const asOwner = <T>(act: Parameters<typeof withOwner<T>>[1]) =>
    withOwner<T>(database.ownerUrl, act);
  const events = () =>
    asOwner(
      (sql) => sql<EventRow[]>`
        select e.action, w.home, e.actor_kind, e.target_kind, e.target_id, e.result, e.detail
        from x3sproxy.audit_events e join x3sproxy.workspaces w on w.id = e.workspace_id
        where e.action like 'service.%' or e.action like 'maintenance.%' order by e.id`,
    );
  const start = async (): Promise<void> => {
    const apiKey = "x3skey_FAKE";
    const service = await runService({ database, apiKey });
    t.after(() => service.remove());
    assert.equal(await service.stop(), 0);
  };
  await start();
  const found = [...(await events())];
  assert.deepEqual(
    found.map(({ action }) => action),
    ["maintenance.migrate", "service.start", "service.stop"],
  );
  for (const { home, actor_kind, result } of found) {
    assert.deepEqual([home, actor_kind, result], [true, "service", "done"]);
  }
  const applied = await asOwner(
    (sql) => sql<{ name: string }[]>`select name from x3sproxy.schema_migrations order by 1`,
  );
  const [migrated, started, stopped] = found.map(({ detail, ...rest }) => ({
    ...rest,
    detail: JSON.parse(detail) as Record<string, unknown>,
  }));
  assert.deepEqual(migrated?.detail, {
    count: applied.length,
    first: applied[0]?.name,
    last: applied.at(-1)?.name,
  });
  assert.match(String(started?.target_id), /^[0-9a-f]{12}$/);
  assert.equal(stopped?.target_id, started?.target_id);
  assert.deepEqual(started?.detail, { process: started?.target_id, version: "0.1.0" });

  const heal = await breakAudit(database.ownerUrl);
  await assert.rejects(start(), /did not get ready/);
  await heal();
  await start();
  assert.deepEqual(
    (await events()).slice(3).map(({ action }) => action),
    ["service.start", "service.stop"],
  );
});
