import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { createExpiredTokens, createUnusedTokens } from "../../src/agents/index.ts";
import { createRetention } from "../../src/activity/index.ts";
import { createAuditRetention } from "../../src/audit/index.ts";
import { createPool } from "../../src/db/index.ts";
import { faults, MOST_READ, openGrown } from "./grown.ts";
import { OWNER_EMAIL } from "./people.ts";

test("no sign-in, deployment or pruning reads a whole table, and what does is found", async (t) => {
  const { admin, watch } = await openGrown(t);
  const pool = openPool(t, watch.database.controlUrl);
  await pool.inWorkspace(
    admin.workspaceId,
    (sql) => sql`select from x3sproxy.audit_events where result = 'no such' limit 1`,
  );
  assert.match(faults(watch.take(), MOST_READ).join(), /audit_events/);

  assert.equal((await admin.browse().signIn(OWNER_EMAIL)).status, 200);
  const headers = { "idempotency-key": "fake-idempotency-key" };
  const deployed = await admin.send("/api/v1/agents/new/deployments", {
    method: "POST",
    headers: { authorization: `Bearer ${admin.apiKey}`, ...headers },
  });
  assert.equal(deployed.status, 201, deployed.text);
  assert.equal((await admin.call("DELETE", "/api/v1/agents/new")).status, 200);
  assert.ok((await createRetention({ pool }).prune()) >= 0);
  await createAuditRetention({ pool }).prune();
  await createExpiredTokens({ pool }).record();
  await createUnusedTokens({ pool }).expire();
  const plans = watch.take();
  assert.ok(plans.length > 50, `${plans.length} plans`);
  assert.deepEqual(faults(plans, MOST_READ), []);
});

function openPool(t: TestContext, url: string) {
  const pool = createPool(url);
  t.after(() => pool.close());
  return pool;
}
