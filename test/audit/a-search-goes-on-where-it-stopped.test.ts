import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import fc from "fast-check";
import { createAudit, type AuditFilter } from "../../src/audit/index.ts";
import { openLogs } from "./log-fixture.ts";
import { inputs } from "../support/generated.ts";

const EVENTS = 12_000;
const ACTIONS = ["secret.set", "agent.deploy", "agent.scope"];
const ACTORS = ["ada@example.test", "00000000-0000-4000-8000-000000000001", "x3sproxy"];
const TARGETS = ["openai/production", "coder", "of-both"];

interface Row {
  id: string;
  at: Date;
  action: string;
  actor: string;
  actorId: string | null;
  target: string;
  targetId: string;
}

let logs: Awaited<ReturnType<typeof openLogs>>;
before(async () => (logs = await openLogs()));
after(() => logs.close());

test("page after page a search finds each event that passes all filters, newest first, once", async () => {
  const workspaceId = await logs.addWorkspace();
  // Never both: the first action is of the first half of the actors' events. Two events at a time, ids against time.
  const rows = await logs.owner(async (sql) => {
    await sql`
      insert into x3sproxy.audit_events
        (workspace_id, created_at, actor_kind, actor_id, actor_name, method, action, target_kind, target_id, target_name, result)
      select ${workspaceId}, '2026-01-01T00:00:00.000001Z'::timestamptz - n / 2 * interval '1 second', 'user',
        case when n % 4 = 1 then ${ACTORS[1] ?? ""}::uuid end,
        case when n % 2 = 0 then ${ACTORS[0] ?? ""} else ${ACTORS[2] ?? ""} end, 'test',
        case when n % 2 = 1 then ${ACTIONS[0] ?? ""} when n % 500 = 0 then ${ACTIONS[2] ?? ""} else ${ACTIONS[1] ?? ""} end, 'thing',
        case when n % 5 = 0 then ${TARGETS[2] ?? ""} else n::text end,
        case when n % 10 = 0 then ${TARGETS[2] ?? ""} when n % 3 = 0 then ${TARGETS[1] ?? ""} else ${TARGETS[0] ?? ""} end, 'done'
      from generate_series(1, ${EVENTS}) n`;
    await sql`analyze x3sproxy.audit_events`;
    return sql<Row[]>`
      select id, created_at as at, action, actor_name as actor, actor_id as "actorId", target_name as target, target_id as "targetId"
      from x3sproxy.audit_events where workspace_id = ${workspaceId} order by created_at desc, id desc`;
  });
  assert.equal(rows.length, EVENTS);
  const audit = createAudit({ pool: logs.pool });
  const shortPages: number[] = [];
  const search = async (filter: AuditFilter): Promise<string[]> => {
    const found: string[] = [];
    for (let after: readonly [string, string] | undefined; ;) {
      const page = await audit.list(workspaceId, filter, { after, limit: 1000 });
      found.push(...page.rows.map(({ id }) => id));
      after = page.rows.length === 1000 ? page.rows.at(-1)?.place : page.reached;
      if (after === undefined) return found;
      if (page.rows.length < 1000) shortPages.push(page.rows.length);
    }
  };
  const moment = fc.option(fc.integer({ min: -10, max: EVENTS / 2 + 10 }), { nil: undefined });
  const one = (values: readonly string[]) =>
    fc.option(fc.constantFrom(...values), { nil: undefined });
  const filters = fc.record({
    ...{ action: one(ACTIONS), actor: one(ACTORS), target: one([...TARGETS, "77"]) },
    ...{ fromS: moment, toS: moment },
  });
  await fc.assert(
    fc.asyncProperty(filters, async ({ action, actor, target, fromS, toS }) => {
      const timeOf = (s: number | undefined): Date | undefined =>
        s === undefined ? undefined : new Date(Date.parse("2026-01-01T00:00:00Z") - s * 1000);
      const filter = { action, actor, target, from: timeOf(fromS), to: timeOf(toS) };
      const wanted = rows.filter(
        (row) =>
          (action === undefined || row.action === action) &&
          (actor === undefined || row.actor === actor || row.actorId === actor) &&
          (target === undefined || row.target === target || row.targetId === target) &&
          // A Date has no microseconds: each event is one after the second.
          (filter.from === undefined || row.at >= filter.from) &&
          (filter.to === undefined || row.at < filter.to),
      );
      assert.deepEqual(
        await search(filter),
        wanted.map(({ id }) => id),
      );
    }),
    inputs(30, 40),
  );
  assert.deepEqual(await search({ action: ACTIONS[0], actor: ACTORS[0] }), []);
  assert.ok(shortPages.includes(0), "a page ended before the search did");
});
