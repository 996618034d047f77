import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { createAudit } from "../../src/audit/index.ts";
import { openLogs } from "./log-fixture.ts";

const LIMIT = 5000;
const SEARCHES = 20;

let logs: Awaited<ReturnType<typeof openLogs>>;
before(async () => (logs = await openLogs()));
after(() => logs.close());

test("while events come, pages of a search with several filters repeat none and leave none out", async () => {
  const workspaceId = await logs.addWorkspace();
  // Ada's older events are the ones that are looked for, and no page holds all of her events. Those of others are newer.
  await logs.owner(
    (sql) => sql`
      insert into x3sproxy.audit_events
        (workspace_id, created_at, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result)
      select ${workspaceId}, '2026-01-01T00:00:00Z'::timestamptz - n * interval '1 second', 'user',
        case when n > 6000 then 'ada' else 'bob' end, 'test',
        case when n between 6001 and 10000 then 'agent.deploy' else 'secret.set' end, 'thing', n::text, 'thing', 'done'
      from generate_series(1, 12000) n`,
  );
  const audit = createAudit({ pool: logs.pool });
  const filter = { actor: "ada", action: "secret.set" };
  const search = async (): Promise<string[]> => {
    const found: string[] = [];
    for (let after: readonly [string, string] | undefined; ;) {
      const page = await audit.list(workspaceId, filter, { after, limit: LIMIT });
      found.push(...page.rows.map(({ id }) => id));
      assert.ok(page.rows.length < LIMIT);
      if (page.reached === undefined) return found;
      after = page.reached;
    }
  };
  const over = new AbortController();
  const coming = (async (): Promise<void> => {
    while (!over.signal.aborted) {
      await logs.owner(
        (sql) => sql`
          insert into x3sproxy.audit_events
            (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result)
          select ${workspaceId}, 'user', 'ada', 'test', 'agent.deploy', 'thing', 'new', 'thing', 'done' from generate_series(1, 3)`,
      );
    }
  })();
  try {
    for (let n = 0; n < SEARCHES; n++) {
      const found = await search();
      assert.equal(new Set(found).size, 2000, "all are found");
      assert.equal(found.length, 2000, "and each once");
    }
  } finally {
    over.abort();
    await coming;
  }
});
