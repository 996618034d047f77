import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { createPool, type Pool, type Sql } from "../../src/db/index.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { SEALED, seedWorkspace, type Seed } from "./fixture.ts";

let database: TestDatabase;
let pool: Pool;
let seed: Seed;
before(async () => {
  database = await createTestDatabase();
  seed = await seedWorkspace(database.ownerUrl, "acme");
  await seedWorkspace(database.ownerUrl, "other");
  pool = createPool(database.proxyUrl);
});
after(async () => {
  await pool.close();
  await database.drop();
});

const resolve = async (hash: Buffer): Promise<unknown> => {
  const [row] = await pool.query(
    (sql) => sql<{ resolved: unknown }[]>`select x3sproxy.resolve_token(${hash}) as resolved`,
  );
  return row?.resolved;
};
const asOwner = (work: (sql: Sql) => Promise<unknown>): Promise<unknown> =>
  withOwner(database.ownerUrl, work);
const NO_LIMITS = { requestsPerMinute: null, openStreams: null, bytesPerMinute: null };
const secret = () => ({
  secretId: seed.secretId,
  version: 1,
  workspaceId: seed.workspaceId,
  provider: "openai",
  origin: "https://api.openai.com",
  header: "authorization",
  scheme: "Bearer",
  keyId: "fake-key",
  wrappedKey: SEALED.wrappedKey.toString("base64"),
  ciphertext: SEALED.ciphertext.toString("base64"),
});

test("a live token gives its agent, its scope, and the sealed secrets of its environment", async () => {
  assert.deepEqual(await resolve(seed.tokenHash), {
    workspaceId: seed.workspaceId,
    agentId: seed.agentId,
    agentName: "worker",
    environment: "production",
    deployment: 1,
    expiresAtMs: null,
    suspended: false,
    scope: {
      providers: null,
      rules: null,
      allowedEndpoints: [],
      addresses: null,
      models: null,
      expiresAtMs: null,
    },
    limits: NO_LIMITS,
    workspaceLimits: { ...NO_LIMITS, openWebsockets: null },
    customProviders: [
      { name: "own-llm", origin: "https://llm.example.com", header: "x-key", scheme: "" },
    ],
    secrets: [secret()],
  });
});

test("an unknown hash gives null", async () => {
  assert.equal(await resolve(Buffer.alloc(32, 9)), null);
});

test("an expired token is still there, with its expiry in milliseconds", async () => {
  const expiresAt = new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 678));
  await asOwner(
    (sql) => sql`update x3sproxy.proxy_tokens set expires_at = ${expiresAt}
    where hash = ${seed.tokenHash}`,
  );
  const resolved = (await resolve(seed.tokenHash)) as { expiresAtMs: number };
  assert.equal(resolved.expiresAtMs, expiresAt.getTime());
});

test("only the active version is given, and only for allowed providers", async () => {
  await asOwner(async (sql) => {
    await sql`insert into x3sproxy.secret_versions (secret_id, workspace_id, version, origin, key_id, wrapped_key, ciphertext, mask)
      select secret_id, workspace_id, 2, origin, key_id, wrapped_key, ciphertext, mask
      from x3sproxy.secret_versions where secret_id = ${seed.secretId}`;
    await sql`update x3sproxy.secrets set active_version = 2 where id = ${seed.secretId}`;
    await sql`update x3sproxy.agents set providers = ${["openai", "groq"]}, allowed_endpoints = ${["openai:keys"]}
      where id = ${seed.agentId}`;
  });
  const allowed = (await resolve(seed.tokenHash)) as Record<string, unknown>;
  const scopeOf = ({ scope }: Record<string, unknown>) => scope as Record<string, unknown>;
  assert.deepEqual(scopeOf(allowed)["providers"], ["openai", "groq"]);
  assert.deepEqual(scopeOf(allowed)["allowedEndpoints"], ["openai:keys"]);
  assert.deepEqual(allowed["secrets"], [{ ...secret(), version: 2 }]);

  await asOwner(
    (sql) => sql`update x3sproxy.agents set providers = ${["groq"]} where id = ${seed.agentId}`,
  );
  assert.deepEqual(((await resolve(seed.tokenHash)) as Record<string, unknown>)["secrets"], []);

  await asOwner(
    (sql) => sql`update x3sproxy.agents set providers = ${[] as string[]}, environment = 'staging'
    where id = ${seed.agentId}`,
  );
  const staging = (await resolve(seed.tokenHash)) as Record<string, unknown>;
  assert.deepEqual([scopeOf(staging)["providers"], staging["secrets"]], [[], []]);
});

test("an agent is suspended by itself and with its workspace, and limited by both", async () => {
  const now = async () => (await resolve(seed.tokenHash)) as Record<string, unknown>;
  await asOwner(
    (sql) => sql`update x3sproxy.agents set suspended_at = now(), requests_per_minute = 6,
      bytes_per_minute = 5000000000, models = ${["claude-*"]} where id = ${seed.agentId}`,
  );
  const suspended = await now();
  assert.equal(suspended["suspended"], true);
  assert.deepEqual(suspended["limits"], {
    requestsPerMinute: 6,
    openStreams: null,
    bytesPerMinute: 5_000_000_000,
  });
  await asOwner(async (sql) => {
    await sql`update x3sproxy.agents set suspended_at = null where id = ${seed.agentId}`;
    await sql`update x3sproxy.workspaces set agents_suspended_at = now(), open_websockets = 3
      where id = ${seed.workspaceId}`;
  });
  const all = await now();
  assert.equal(all["suspended"], true);
  assert.deepEqual(all["workspaceLimits"], { ...NO_LIMITS, openWebsockets: 3 });
});
