import assert from "node:assert/strict";
import { test } from "node:test";
import postgres from "postgres";
import { createPool } from "../../src/db/index.ts";
import { createFigures } from "../../src/figures.ts";
import { createLog } from "../../src/log.ts";
import { createMetrics } from "../../src/metrics.ts";
import { createManualClock } from "../grants/manual-clock.ts";
import { openDataPlane } from "../support/data-plane.ts";
import { createTcpGate } from "../support/tcp-gate.ts";
import { readSamples, valueOf } from "./exposition.ts";

const DAY_S = 86_400;

test("tokens by use, keys by age and what waits to be sealed, over all workspaces; old figures show their age", async (t) => {
  const plane = await openDataPlane(t);
  const owner = postgres(plane.ownerUrl, { max: 1, onnotice: () => undefined });
  const gate = await createTcpGate(plane.database.controlUrl);
  const pool = createPool(gate.url, { max: 1, deadlineMs: 500 });
  const clock = createManualClock();
  const metrics = createMetrics();
  const lines: string[] = [];
  const log = createLog({ level: "warn", destination: { write: (line) => lines.push(line) } });
  const figures = createFigures({ pool, clock, log, metrics });
  t.after(async () => {
    figures.close();
    await pool.close();
    await gate.close();
    await owner.end();
  });

  const unknown = new Set(readSamples(await metrics.text()).map(({ name }) => name));
  for (const name of ["unused_token_ratio", "audit_lag_seconds", "figures_age_seconds"]) {
    assert.ok(!unknown.has(`x3sproxy_${name}`), `${name} is not known yet`);
  }
  assert.ok(!unknown.has("x3sproxy_database_up"));

  // Four live tokens: one used, one idle for two days, one new; one that is used by an earlier deployment alone; and one that has ended.
  for (const name of ["used", "idle", "new", "redeployed", "ended"]) await plane.deploy(name);
  await plane.deploy("redeployed");
  const use = (name: string, deployment: number) => owner`
    insert into x3sproxy.activity_agents (workspace_id, agent_id, provider, deployment, last_used_at)
    select workspace_id, id, 'openai', ${deployment}, now() from x3sproxy.agents where name = ${name}`;
  await use("used", 1);
  await use("redeployed", 1);
  await owner`
    update x3sproxy.proxy_tokens t set created_at = now() - interval '2 days',
      expires_at = case when a.name = 'ended' then now() - interval '1 hour' end
    from x3sproxy.agents a where a.id = t.agent_id and a.name <> 'new'`;
  // Of another workspace: a key of 100 days; and here one of today, over one of 400 days that is no longer active.
  const other = "00000000-0000-4000-8000-00000000feed";
  await plane.save("openai");
  await owner`update x3sproxy.secret_versions set created_at = now() - interval '400 days'`;
  await plane.save("openai", "sk-FAKE-real-key-0123456789-another-one");
  await plane.save("anthropic", "sk-ant-api03-FAKE-real-key-0123456789");
  await owner`
    update x3sproxy.secret_versions v set created_at = now() - interval '100 days'
    from x3sproxy.secrets s where s.id = v.secret_id and s.provider = 'anthropic'`;
  await owner`insert into x3sproxy.workspaces (id, name) values (${other}, 'other')`;
  await owner`delete from x3sproxy.audit_pending`;
  await owner`
    insert into x3sproxy.audit_pending (event_id, workspace_id, created_at)
    values (1, ${other}, now() - interval '90 s'), (2, ${other}, now())`;
  await owner`update x3sproxy.master_keys set created_at = now() - interval '10 days'`;

  await figures.renew();
  const text = await metrics.text();
  const tokens = (kind: string) => valueOf(text, "x3sproxy_tokens", { use: kind });
  assert.deepEqual([tokens("used"), tokens("unused"), tokens("new")], [1, 2, 1]);
  assert.equal(valueOf(text, "x3sproxy_unused_token_ratio"), 0.5);
  const secrets = readSamples(text).filter(({ name }) => name === "x3sproxy_active_secrets");
  assert.deepEqual(
    secrets.map(({ labels, value }) => [labels["max_age_days"], value]),
    [
      ["30", 1],
      ["60", 1],
      ["90", 1],
      ["180", 2],
      ["365", 2],
      ["+Inf", 2],
    ],
  );
  const near = (name: string, seconds: number) => {
    const value = valueOf(text, name);
    assert.ok(value >= seconds && value < seconds + 60, `${name} ${value}`);
  };
  near("x3sproxy_oldest_active_secret_age_seconds", 100 * DAY_S);
  near("x3sproxy_master_key_age_seconds", 10 * DAY_S);
  near("x3sproxy_audit_lag_seconds", 90);
  assert.equal(valueOf(text, "x3sproxy_database_up"), 1);
  assert.ok(!text.includes(other) && !text.includes("redeployed"), "it names nobody");

  // With the database away they stay, and say how old they are.
  await gate.set("refuse");
  clock.advance(70_000);
  await figures.renew();
  await figures.renew();
  const stale = await metrics.text();
  assert.equal(valueOf(stale, "x3sproxy_database_up"), 0);
  assert.equal(valueOf(stale, "x3sproxy_figures_age_seconds"), 70);
  assert.equal(valueOf(stale, "x3sproxy_unused_token_ratio"), 0.5);
  assert.equal(lines.length, 1, "it is said once");

  await gate.set("open");
  await figures.renew();
  const fresh = await metrics.text();
  assert.equal(valueOf(fresh, "x3sproxy_database_up"), 1);
  assert.equal(valueOf(fresh, "x3sproxy_figures_age_seconds"), 0);
});
