import assert from "node:assert/strict";
import { it } from "node:test";
import postgres from "postgres";
import { bootstrap } from "../../src/identity/index.ts";
import { createTestDatabase } from "../support/database.ts";
import { CLIENT, openIdentity } from "./fixture.ts";

it("twenty first starts at once make one workspace and one key, and leave one link", async (t) => {
  const database = await createTestDatabase();
  const { ownerUrl } = database;
  const owner = postgres(ownerUrl, { max: 1, onnotice: () => undefined });
  t.after(async () => {
    await owner.end();
    await database.drop();
  });
  const all = await Promise.all(
    Array.from({ length: 20 }, () => bootstrap(ownerUrl, { makeApiKey: false })),
  );
  assert.equal(new Set(all.map(({ workspaceId }) => workspaceId)).size, 1);
  assert.equal(all.filter(({ apiKey }) => apiKey !== undefined).length, 1);
  assert.equal((await owner`select from x3sproxy.api_keys`).count, 1);
  assert.equal((await owner`select from x3sproxy.setup_links`).count, 1);
});

it("the key that it makes is an owner's", async (t) => {
  const { identity, apiKey, workspaceId } = await openIdentity(t);
  const caller = await identity.authenticateApiKey(apiKey, CLIENT);
  assert.partialDeepStrictEqual(caller, { workspaceId, role: "owner", name: "bootstrap" });
  assert.equal(await identity.authenticateApiKey(`${apiKey.slice(0, -1)}!`, CLIENT), undefined);
});

it("a later start changes nothing; with makeApiKey a new key ends the one before", async (t) => {
  const { ownerUrl, identity, apiKey, workspaceId } = await openIdentity(t);
  const again = await bootstrap(ownerUrl, { makeApiKey: false });
  assert.equal(again.workspaceId, workspaceId);
  assert.equal(again.apiKey, undefined);
  assert.ok(await identity.authenticateApiKey(apiKey, CLIENT));

  const replaced = await bootstrap(ownerUrl, { makeApiKey: true });
  assert.ok(replaced.apiKey !== undefined);
  assert.equal(await identity.authenticateApiKey(apiKey, CLIENT), undefined);
  assert.ok(await identity.authenticateApiKey(replaced.apiKey, CLIENT));
});

it("once there is a user there are no more links", async (t) => {
  const { ownerUrl, owner, setUp } = await openIdentity(t);
  assert.equal(await setUp("first@example.test"), "made");
  assert.equal((await bootstrap(ownerUrl, { makeApiKey: false })).setupToken, undefined);
  assert.equal((await owner`select from x3sproxy.setup_links`).count, 0);
});

it("the database keeps neither the key nor the link in a form that could be used", async (t) => {
  const { owner, apiKey, setupToken } = await openIdentity(t);
  const rows = await owner`
    select to_jsonb(k)::text as text from x3sproxy.api_keys k
    union all select to_jsonb(l)::text from x3sproxy.setup_links l`;
  const dump = JSON.stringify(rows);
  for (const bearer of [apiKey, setupToken]) {
    assert.ok(!dump.includes(bearer));
    assert.ok(!dump.includes(Buffer.from(bearer).toString("hex")));
  }
});

it("a workspace that was given another name is still the first", async (t) => {
  const { ownerUrl, owner, workspaceId } = await openIdentity(t);
  await owner`update x3sproxy.workspaces set name = 'acme'`;
  const again = await bootstrap(ownerUrl, { makeApiKey: false });
  assert.deepEqual([again.workspaceId, again.apiKey], [workspaceId, undefined]);
  assert.equal((await owner`select from x3sproxy.workspaces`).count, 1);
});

it("the first workspace is home, and stays so", async (t) => {
  const { ownerUrl, owner, workspaceId } = await openIdentity(t);
  const home = () => owner`select id from x3sproxy.workspaces where home`;
  assert.deepEqual([...(await home())], [{ id: workspaceId }]);
  await owner`
    insert into x3sproxy.workspaces (id, name, created_at)
    values (gen_random_uuid(), 'older', now() - interval '1 day')`;
  const again = await bootstrap(ownerUrl, { makeApiKey: false });
  assert.equal(again.workspaceId, workspaceId);
  assert.deepEqual([...(await home())], [{ id: workspaceId }]);
});
