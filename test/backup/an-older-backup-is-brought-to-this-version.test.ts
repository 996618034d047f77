import assert from "node:assert/strict";
import { it } from "node:test";
import { newIdentity, openStream, sealStream } from "../../src/backup/index.ts";
import { readSnapshot } from "../../src/backup/snapshot.ts";
import { migrateWithin, withOwner } from "../../src/db/index.ts";
import { createVault, loadMasterKeys } from "../../src/vault/index.ts";
import { sealCheckValue } from "../../src/vault/sealing.ts";
import { createEmptyDatabase, restoreTo, takeApart } from "./fixture.ts";

const MASTER_KEY = Buffer.alloc(32, "fake").toString("base64");
const LAST = "0011_calls.sql";

it("an older version's backup is restored as what it was, then brought to this version", async (t) => {
  const old = await createEmptyDatabase(t);
  await withOwner(old, (sql) => sql.begin((transaction) => migrateWithin(transaction, LAST)));
  const masterKey = await loadMasterKeys(
    { masterKey: { value: MASTER_KEY }, dataDir: "/nowhere", databaseUrl: undefined },
    { mayCreate: false },
  );
  await createVault(masterKey); // which makes the sealing ready
  const { active } = masterKey;
  await withOwner(
    old,
    (sql) => sql`
      insert into x3sproxy.master_keys (key_id, check_value) values (${active.id}, ${sealCheckValue(active)})`,
  );
  await withOwner(old, (sql) =>
    sql`
      insert into x3sproxy.workspaces (id, name, home) values (gen_random_uuid(), 'default', true);
      insert into x3sproxy.audit_events (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result)
        select id, 'service', 'tab	and \\ line
end', 'test', 'secret.set', 'secret', 'x', 'x', 'done' from x3sproxy.workspaces;
      begin;
      insert into x3sproxy.secrets (id, workspace_id, provider, environment, active_version)
        select gen_random_uuid(), id, 'openai', 'production', 1 from x3sproxy.workspaces;
      insert into x3sproxy.secret_versions (secret_id, workspace_id, version, origin, key_id, wrapped_key, ciphertext, mask)
        select s.id, s.workspace_id, 1, 'https://x.example', k.key_id, '\\x00ff0a', '\\x0a5c2e0a', '…' from x3sproxy.secrets s, x3sproxy.master_keys k;
      commit`.simple(),
  );
  const pieces: Buffer[] = [];
  await readSnapshot({
    ownerUrl: old,
    id: "00000000-0000-4000-8000-000000000001",
    signal: new AbortController().signal,
    beforeBegin: () => Promise.resolve(),
    onBegin: () => undefined,
    beforeEnd: () => Promise.resolve(),
    write: (piece) => Promise.resolve(void pieces.push(piece)),
  });
  const { identity, recipient } = await newIdentity();
  const sealed = await sealStream(new Blob(pieces as Uint8Array<ArrayBuffer>[]).stream(), {
    recipients: [recipient],
  });
  const bytes = new Uint8Array(await new Response(sealed).arrayBuffer());
  const open = () => openStream(new Blob([bytes]).stream(), { identities: [identity] });
  const { header } = await takeApart(open);
  assert.equal(header.migrations.at(-1)?.name, LAST);
  assert.deepEqual(
    header.masterKeys.map(({ id }) => id),
    [active.id],
  );

  const url = await createEmptyDatabase(t);
  const { restored } = await restoreTo(url, open, { masterKey: MASTER_KEY, suspendAgents: true });
  assert.equal(restored.migrated[0], "0012_audit_log.sql");
  await withOwner(url, async (sql) => {
    const [found] = await sql<Record<string, unknown>[]>`
      select v.wrapped_key, v.ciphertext, e.actor_name, w.agents_suspended_at is not null as suspended
      from x3sproxy.secret_versions v, x3sproxy.audit_events e, x3sproxy.workspaces w where e.action = 'secret.set'`;
    assert.deepEqual(found, {
      wrapped_key: Buffer.from("00ff0a", "hex"),
      ciphertext: Buffer.from("0a5c2e0a", "hex"),
      actor_name: "tab	and \\ line\nend",
      suspended: true,
    });
    // All that happened waits to be sealed: what came with the backup, and what the restore did, in their order.
    const events = await sql<{ action: string }[]>`
      select action from x3sproxy.audit_pending join x3sproxy.audit_events on id = event_id order by id`;
    assert.deepEqual(
      events.map(({ action }) => action),
      ["secret.set", "workspace.suspend", "backup.restore"],
    );
  });
});

it("a schema without rows is taken when it is no newer than the backup's", async (t) => {
  const source = await createEmptyDatabase(t);
  await withOwner(source, (sql) => sql.begin((transaction) => migrateWithin(transaction, LAST)));
  await withOwner(
    source,
    (sql) =>
      sql`insert into x3sproxy.workspaces (id, name, home) values (gen_random_uuid(), 'default', true)`,
  );
  const pieces: Buffer[] = [];
  await readSnapshot({
    ownerUrl: source,
    id: "00000000-0000-4000-8000-000000000002",
    signal: new AbortController().signal,
    beforeBegin: () => Promise.resolve(),
    onBegin: () => undefined,
    beforeEnd: () => Promise.resolve(),
    write: (piece) => Promise.resolve(void pieces.push(piece)),
  });
  const open = () =>
    new Blob(pieces as Uint8Array<ArrayBuffer>[]).stream() as unknown as AsyncIterable<Uint8Array>;
  const migrated = await createEmptyDatabase(t);
  await withOwner(migrated, (sql) =>
    sql.begin((transaction) => migrateWithin(transaction, "0005_idempotency.sql")),
  );
  const { restored } = await restoreTo(migrated, open, { masterKey: MASTER_KEY });
  assert.equal(restored.migrated[0], "0012_audit_log.sql");
  const newer = await createEmptyDatabase(t);
  await withOwner(newer, (sql) => sql.begin((transaction) => migrateWithin(transaction)));
  await assert.rejects(
    restoreTo(newer, open, { masterKey: MASTER_KEY }),
    /drop schema x3sproxy cascade/,
  );
});
