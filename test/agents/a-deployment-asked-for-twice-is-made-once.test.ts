import assert from "node:assert/strict";
import { test } from "node:test";
import { createAgents, type Deployment } from "../../src/agents/index.ts";
import type { Actor } from "../../src/audit/index.ts";
import { withOwner } from "../../src/db/connection.ts";
import { createPool } from "../../src/db/index.ts";
import { RequestError } from "../../src/errors.ts";
import { hashBearer, isProxyToken, newId } from "../../src/ids.ts";
import { actorIn } from "../support/actor.ts";
import { createHouse } from "../grants/house.ts";
import { createManualClock } from "../grants/manual-clock.ts";

const HOUR_MS = 3_600_000;
const KEY = "FAKE-idempotency-key-1";
const ONCE = { idempotencyKey: KEY };

const conflict = (error: unknown): boolean =>
  error instanceof RequestError && error.status === 409 && error.code === "idempotency_conflict";

async function requests(ownerUrl: string): Promise<Record<string, unknown>[]> {
  return withOwner(ownerUrl, async (sql) => [
    ...(await sql<Record<string, unknown>[]>`select * from x3sproxy.deployment_requests`),
  ]);
}

test("the same key, body and caller get the same answer; the deployment is made once", async (t) => {
  const { agents, database, workspaceId, openGrants } = await createHouse(t);
  const by = actorIn(workspaceId);
  const wanted: Deployment = { name: "a", providers: ["openai"], ttlMs: HOUR_MS };
  const first = await agents.deploy(by, wanted, ONCE);
  assert.ok(isProxyToken(first.token));
  const second = await agents.deploy(
    by,
    { ttlMs: HOUR_MS, providers: ["openai"], name: "a" },
    ONCE,
  );
  assert.deepEqual(second, first);
  assert.equal(first.agent.deployment, 1);
  const { grants } = await openGrants();
  assert.ok(typeof (await grants.resolve(first.token)) !== "string");

  const [row, ...more] = await requests(database.ownerUrl);
  assert.equal(more.length, 0);
  const kept = JSON.stringify(row, (_, value: unknown) =>
    Buffer.isBuffer(value) ? value.toString("latin1") : value,
  );
  assert.ok(!kept.includes(KEY) && !kept.includes(first.token.slice("x3sproxy_".length)));
  const events = await withOwner(
    database.ownerUrl,
    (sql) => sql<{ result: string }[]>`select result from x3sproxy.audit_events order by id`,
  );
  assert.deepEqual(
    events.map(({ result }) => result),
    ["done", "repeated"],
  );
});

test("another key, another caller, another agent and no key at all get tokens of their own", async (t) => {
  const { agents, workspaceId } = await createHouse(t);
  const by = actorIn(workspaceId);
  const caller = (kind: Actor["kind"], id: string): Actor => ({ ...by, kind, id });
  const id = newId();
  const tokens = [
    (await agents.deploy(by, { name: "a" }, ONCE)).token,
    (await agents.deploy(by, { name: "a" }, { idempotencyKey: `${KEY} ` })).token,
    (await agents.deploy(caller("api_key", id), { name: "a" }, ONCE)).token,
    (await agents.deploy(caller("user", id), { name: "a" }, ONCE)).token,
    (await agents.deploy(caller("api_key", newId()), { name: "b" }, ONCE)).token,
    (await agents.deploy(by, { name: "a" })).token,
    (await agents.deploy(by, { name: "a" })).token,
  ];
  assert.equal(new Set(tokens).size, tokens.length);
});

test("of many at once, over two processes, one deployment is made and all get its token", async (t) => {
  const { agents, clock, vault, database, workspaceId } = await createHouse(t);
  const pool = createPool(database.controlUrl);
  t.after(() => pool.close());
  const others = createAgents({ pool, clock, vault });
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, i) =>
      (i % 2 === 0 ? agents : others).deploy(actorIn(workspaceId), { name: "a" }, ONCE),
    ),
  );
  assert.equal(new Set(answers.map(({ token }) => token)).size, 1);
  assert.deepEqual(new Set(answers.map(({ agent }) => agent.deployment)), new Set([1]));
});

test("with another request it is a conflict, and nothing is deployed", async (t) => {
  const { agents, workspaceId } = await createHouse(t);
  const by = actorIn(workspaceId);
  const { agent } = await agents.deploy(by, { name: "a" }, ONCE);
  for (const other of [
    { name: "b" },
    { name: "a", environment: "production" },
    { name: "a", providers: null },
    { name: "a", providers: [] },
    { name: "a", allowedEndpoints: [] },
    { name: "a", ttlMs: null },
  ] satisfies Deployment[]) {
    await assert.rejects(agents.deploy(by, other, ONCE), conflict, JSON.stringify(other));
  }
  assert.deepEqual(await agents.list(workspaceId), [agent]);
});

test("once its deployment is no longer the newest, or its agent is gone, it is a conflict", async (t) => {
  const { agents, workspaceId } = await createHouse(t);
  const by = actorIn(workspaceId);
  await agents.deploy(by, { name: "a" }, ONCE);
  const newest = await agents.deploy(
    by,
    { name: "a" },
    { idempotencyKey: "FAKE-idempotency-key-2" },
  );
  await assert.rejects(agents.deploy(by, { name: "a" }, ONCE), conflict);
  assert.deepEqual(
    await agents.deploy(by, { name: "a" }, { idempotencyKey: "FAKE-idempotency-key-2" }),
    newest,
  );
  await agents.destroy(by, "a");
  await assert.rejects(
    agents.deploy(by, { name: "a" }, { idempotencyKey: "FAKE-idempotency-key-2" }),
    conflict,
  );
  assert.deepEqual(await agents.list(workspaceId), []);
  // The same name, another agent: its first deployment has the number of the first one's.
  const again = await agents.deploy(by, { name: "a" });
  await assert.rejects(agents.deploy(by, { name: "a" }, ONCE), conflict);
  assert.deepEqual(await agents.list(workspaceId), [again.agent]);
});

test("after 24 hours the key is forgotten and makes a new deployment with a new token", async (t) => {
  const clock = createManualClock();
  const { agents, database, workspaceId } = await createHouse(t, { clock });
  const by = actorIn(workspaceId);
  const first = await agents.deploy(by, { name: "a" }, ONCE);
  clock.advance(24 * HOUR_MS - 1000);
  assert.deepEqual(await agents.deploy(by, { name: "a" }, ONCE), first);
  clock.advance(2000);
  const later = await agents.deploy(by, { name: "a" }, ONCE);
  assert.equal(later.agent.deployment, 2);
  assert.notEqual(later.token, first.token);
  clock.advance(25 * HOUR_MS);
  await agents.deploy(by, { name: "b" }, { idempotencyKey: "FAKE-idempotency-key-2" });
  assert.equal((await requests(database.ownerUrl)).length, 1, "old ones are deleted");
});

test("many old keys are forgotten a hundred at a time, and the one that comes again at once", async (t) => {
  const clock = createManualClock();
  const { agents, database, workspaceId } = await createHouse(t, { clock });
  const by = actorIn(workspaceId);
  const first = await agents.deploy(by, { name: "a" }, ONCE);
  await withOwner(
    database.ownerUrl,
    (sql) => sql`
      insert into x3sproxy.deployment_requests
        (workspace_id, key_hash, request_hash, agent_id, deployment, created_at)
      select workspace_id, sha256(n::text::bytea), request_hash, agent_id, n, created_at - interval '1 minute'
      from x3sproxy.deployment_requests, generate_series(1, 250) n`,
  );
  clock.advance(25 * HOUR_MS);
  const again = await agents.deploy(by, { name: "a" }, ONCE);
  assert.equal(again.agent.deployment, first.agent.deployment + 1);
  const left = async (): Promise<number> => (await requests(database.ownerUrl)).length;
  assert.equal(await left(), 151);
  await agents.deploy(by, { name: "a" }, { idempotencyKey: "FAKE-idempotency-key-2" });
  assert.equal(await left(), 52);
  await agents.deploy(by, { name: "a" }, { idempotencyKey: "FAKE-idempotency-key-3" });
  assert.equal(await left(), 3);
});

test("deployments that come at once forget old keys without waiting for each other in a circle", async (t) => {
  const clock = createManualClock();
  const { agents, database, workspaceId } = await createHouse(t, { clock });
  const by = actorIn(workspaceId);
  const keys = Array.from({ length: 20 }, (_, n) => `FAKE-idempotency-key-${n}`);
  const deployAll = (): Promise<unknown> =>
    Promise.all(
      keys.map((idempotencyKey, n) => agents.deploy(by, { name: `a-${n}` }, { idempotencyKey })),
    );
  await deployAll();
  clock.advance(25 * HOUR_MS);
  await deployAll();
  assert.equal((await requests(database.ownerUrl)).length, keys.length);
});

test("a deployment that was refused uses no key up", async (t) => {
  const { agents, database, workspaceId } = await createHouse(t);
  const by = actorIn(workspaceId);
  await assert.rejects(
    agents.deploy(by, { name: "a", providers: ["no-such"] }, ONCE),
    RequestError,
  );
  assert.deepEqual(await requests(database.ownerUrl), []);
  assert.equal((await agents.deploy(by, { name: "a" }, ONCE)).agent.deployment, 1);
});

test("numbers that are used again, as after a restored backup, give no token again", async (t) => {
  const clock = createManualClock();
  const { agents, database, workspaceId } = await createHouse(t, { clock });
  const by = actorIn(workspaceId);
  const lost = await agents.deploy(by, { name: "a" }, ONCE);
  await withOwner(database.ownerUrl, async (sql) => {
    await sql`delete from x3sproxy.deployment_requests`;
    await sql`delete from x3sproxy.proxy_tokens`;
    await sql`update x3sproxy.agents set deployments = 0`;
  });
  clock.advance(60_000);
  const again = await agents.deploy(by, { name: "a" }, ONCE);
  assert.equal(again.agent.deployment, lost.agent.deployment);
  assert.notEqual(hashBearer(again.token), hashBearer(lost.token));
});
