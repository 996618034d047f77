import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { createErasures, record, type Actor } from "../../src/audit/index.ts";
import { unlistedParts } from "./erasure-lists.ts";
import { actorIn, openLogs } from "./log-fixture.ts";

const EMAIL = "ada@example.test";

let logs: Awaited<ReturnType<typeof openLogs>>;
before(async () => (logs = await openLogs()));
after(() => logs.close());

const ada = (workspaceId: string): Actor => ({
  ...actorIn(workspaceId),
  kind: "user",
  name: EMAIL,
});

test("parts of events that another process is just sealing are erased in a second pass", async () => {
  const workspaceId = await logs.addWorkspace();
  const target = { kind: "user", id: "an-id", name: EMAIL };
  const act = () =>
    logs.pool.inWorkspace(workspaceId, (sql) =>
      record(sql, ada(workspaceId), { action: "user.sign_in", target }),
    );
  await act();
  await logs.sequencer.run();
  await act();
  let calls = 0;
  const erasures = createErasures({
    pool: logs.pool,
    sequencer: {
      ...logs.sequencer,
      seal: async (id) => (++calls === 1 ? 0 : logs.sequencer.seal(id)),
    },
  });
  assert.deepEqual(await erasures.erase(actorIn(workspaceId), EMAIL), {
    ...{ parts: 4, waiting: 0, others: 0 },
  });
  assert.equal(calls, 2);
  await logs.sequencer.run();
  const { blank, erasures: lists } = await logs.look(workspaceId);
  assert.equal(lists.length, 2, "each pass has an event and a list of its own");
  assert.equal(blank.length, 4);
  assert.deepEqual(unlistedParts(blank, lists), []);
});

test("more parts than one transaction takes are erased in several, by two owners at once", async () => {
  const workspaceId = await logs.addWorkspace();
  await logs.owner(
    (sql) => sql`
      insert into x3sproxy.audit_events
        (workspace_id, actor_kind, actor_id, actor_name, address, method, action, target_kind, target_id, target_name, result)
      select ${workspaceId}, 'user', gen_random_uuid(), ${EMAIL}, '192.0.2.1', 'session', 'secret.set', 'secret', i, i, 'done'
      from generate_series(1, 1100) i`,
  );
  await logs.sequencer.run();
  const done = await Promise.all([
    logs.erasures.erase(actorIn(workspaceId), EMAIL),
    logs.erasures.erase(actorIn(workspaceId), EMAIL),
  ]);
  assert.equal(
    done.reduce((sum, { parts }) => sum + parts, 0),
    1100,
  );
  await logs.sequencer.run();
  const { blank, erasures } = await logs.look(workspaceId);
  assert.equal(blank.length, 1100);
  assert.deepEqual(unlistedParts(blank, erasures), []);
});
