import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { openClient, withOwner, type Client, type OwnerSql } from "../../src/db/connection.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { seedWorkspace, type Seed } from "./fixture.ts";

let database: TestDatabase;
let listener: Client;
let seed: Seed;
let heard: string[] = [];
before(async () => {
  database = await createTestDatabase();
  seed = await seedWorkspace(database.ownerUrl, "acme");
  listener = openClient(database.proxyUrl, {
    max: 1,
    statementTimeoutMs: 0,
    onNotify: (channel, payload) => void heard.push(`${channel}: ${payload}`),
  });
  await listener.sql`listen x3sproxy_changes`;
});
afterEach(() => {
  heard = [];
});
after(async () => {
  listener.destroy();
  await database.drop();
});

/** What is heard of `work`, up to a marker sent after it. */
async function announcements(work: (sql: OwnerSql) => Promise<unknown>): Promise<string[]> {
  await withOwner(database.ownerUrl, async (sql) => {
    await work(sql);
    await sql`select pg_notify('x3sproxy_changes', 'marker')`;
  });
  await eventually(() => heard.at(-1) === "x3sproxy_changes: marker");
  return [...new Set(heard.slice(0, -1))].sort();
}
const agent = (): string => `x3sproxy_changes: agent ${seed.agentId}`;
const workspace = (): string => `x3sproxy_changes: workspace ${seed.workspaceId}`;

const addLease = (sql: OwnerSql, byte: number) =>
  sql`insert into x3sproxy.proxy_tokens (kind, hash, workspace_id, agent_id, deployment, expires_at)
    values ('lease', ${Buffer.alloc(32, byte)}, ${seed.workspaceId}, ${seed.agentId}, 2, now() + interval '30 s')`;

const cases: [string, (sql: OwnerSql) => Promise<unknown>, () => string[]][] = [
  [
    "redeploying an agent",
    async (sql) => {
      await sql`delete from x3sproxy.proxy_tokens where agent_id = ${seed.agentId}`;
      await sql`insert into x3sproxy.proxy_tokens (hash, workspace_id, agent_id, deployment)
      values (${Buffer.alloc(32, 3)}, ${seed.workspaceId}, ${seed.agentId}, 2)`;
    },
    () => [agent()],
  ],
  [
    "a token's new expiry",
    (sql) => sql`update x3sproxy.proxy_tokens set expires_at = now()`,
    () => [agent()],
  ],
  [
    "a lease that ends",
    async (sql) => {
      await addLease(sql, 4);
      await sql`delete from x3sproxy.proxy_tokens where kind = 'lease'`;
    },
    () => [agent()],
  ],
  [
    "a lease that is cut short",
    async (sql) => {
      await addLease(sql, 5);
      await sql`update x3sproxy.proxy_tokens set expires_at = expires_at - interval '1 s' where kind = 'lease'`;
    },
    () => [agent()],
  ],
  [
    "a lease that is renewed late, when its end may be remembered",
    (sql) =>
      sql`update x3sproxy.proxy_tokens set expires_at = now() + interval '2 minutes' where kind = 'lease' and expires_at < now() + interval '1 minute'`,
    () => [agent()],
  ],
  [
    "an agent's new scope",
    (sql) => sql`update x3sproxy.agents set environment = 'staging'`,
    () => [agent()],
  ],
  [
    "a new version of a secret",
    async (sql) => {
      await sql`insert into x3sproxy.secret_versions
      select secret_id, workspace_id, 2, origin, key_id, wrapped_key, ciphertext, mask
      from x3sproxy.secret_versions`;
      await sql`update x3sproxy.secrets set active_version = 2`;
    },
    () => [workspace()],
  ],
  [
    "a version edited by hand",
    (sql) => sql`update x3sproxy.secret_versions set origin = 'https://b.example'`,
    () => [workspace()],
  ],
  [
    "a custom provider's new origin",
    (sql) => sql`update x3sproxy.providers set origin = 'https://c.example'`,
    () => [workspace()],
  ],
  ["a custom provider's end", (sql) => sql`delete from x3sproxy.providers`, () => [workspace()]],
  ["a secret's end", (sql) => sql`delete from x3sproxy.secrets`, () => [workspace()]],
  ["an agent's end", (sql) => sql`delete from x3sproxy.agents`, () => [agent()]],
];
for (const [name, work, expected] of cases) {
  test(`${name} is announced`, async () => assert.deepEqual(await announcements(work), expected()));
}

test("a new lease and its renewal announce nothing: nothing that is remembered has changed", async () => {
  const other = await seedWorkspace(database.ownerUrl, "leasing");
  await announcements((sql) => sql`select`);
  heard = [];
  const said = await announcements(async (sql) => {
    await sql`insert into x3sproxy.proxy_tokens (kind, hash, workspace_id, agent_id, deployment, expires_at)
      values ('lease', ${Buffer.alloc(32, 9)}, ${other.workspaceId}, ${other.agentId}, 1, now() + interval '2 minutes')`;
    await sql`update x3sproxy.proxy_tokens set expires_at = expires_at + interval '30 s'
      where kind = 'lease' and agent_id = ${other.agentId}`;
  });
  assert.deepEqual(said, []);
});

test("a transaction that is rolled back announces nothing", async () => {
  const nothing = await announcements((sql) =>
    sql
      .begin(async (tx) => {
        await tx`insert into x3sproxy.providers (workspace_id, name, origin, header, scheme)
          values (${seed.workspaceId}, 'late', 'https://d.example', 'x-key', '')`;
        throw new Error("no");
      })
      .catch(() => undefined),
  );
  assert.deepEqual(nothing, []);
});

test("the end of a workspace is announced for its agents", async () => {
  const other = await seedWorkspace(database.ownerUrl, "doomed");
  heard = [];
  const said = await announcements(async (sql) => {
    await sql`delete from x3sproxy.workspaces where id = ${other.workspaceId}`;
  });
  assert.ok(said.includes(`x3sproxy_changes: agent ${other.agentId}`));
});
