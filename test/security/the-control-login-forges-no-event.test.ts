// Whoever has the control login can record what didn't happen. It can't choose what the database gives an event by itself, nor break the
// log with an event that can't be exported.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test, { after, before } from "node:test";
import type { Sql } from "../../src/db/index.ts";
import { openSealedLog, verify } from "../audit/sealed-log.ts";

let log: Awaited<ReturnType<typeof openSealedLog>>;
before(async () => {
  log = await openSealedLog();
});
after(() => log.close());

const DENIED = { code: "42501" };
const workspaceId = randomUUID();

const control = (statement: string): Promise<unknown> =>
  log.pool.inWorkspace(workspaceId, (sql) => sql.unsafe(statement));

function insertion(columns: Readonly<Record<string, string>>): string {
  const all: Readonly<Record<string, string>> = {
    ...{ workspace_id: `'${workspaceId}'`, actor_kind: "'user'", actor_name: "'ada'" },
    ...{ method: "'session'", action: "'secret.set'", target_kind: "'secret'", target_id: "'1'" },
    ...{ target_name: "'x'", result: "'done'", ...columns },
  };
  return `insert into x3sproxy.audit_events (${Object.keys(all).join(", ")})
    overriding system value values (${Object.values(all).join(", ")})`;
}

test("an event's id, time and salts are the database's, and no other workspace's event can be added", async () => {
  await control(insertion({}));
  await log.seal();
  const forged: readonly Readonly<Record<string, string>>[] = [
    { id: "-5" }, // an export has no form for it
    { id: "9223372036854775807" },
    { created_at: "now() - interval '1 year'" },
    { created_at: "'infinity'" }, // nothing would ever be pruned, and no export could show it
    { actor_salt: "null" }, // it would look as if somebody had been erased
    { target_salt: "null" },
    { actor_salt: "gen_random_uuid()" },
    { workspace_id: "gen_random_uuid()" },
  ];
  for (const columns of forged) {
    await assert.rejects(control(insertion(columns)), DENIED, JSON.stringify(columns));
  }
  await log.seal();
  assert.deepEqual(verify(await log.exportOf(workspaceId)).findings, []);
});

test("a pruning or an erasure is told of by the database alone, in the transaction that does it", async () => {
  const forged = [
    { action: "'audit.prune'", detail: `'{"before":1}'` }, // what is deleted later would read as pruned
    { action: "'audit.prune'", detail: `'{"before":1000000}'` }, // no export would ever verify again
    { action: "'audit.erase'", detail: "'{}'" },
  ];
  for (const columns of forged) {
    await assert.rejects(control(insertion(columns)), DENIED, JSON.stringify(columns));
  }
  await log.seal();
  assert.deepEqual(verify(await log.exportOf(workspaceId)).findings, []);
});

/** What each role may do with each of the audit's tables, whole or column by column; everything else is nobody's. */
const RIGHTS: Readonly<Record<string, readonly string[]>> = {
  audit_checkpoints: ["INSERT", "SELECT"],
  audit_erasures: ["SELECT"],
  audit_events: [
    ...[
      "INSERT(action,actor_id,actor_kind,actor_name,address,after_hash,before_hash,detail,method",
    ],
    ...["result,target_id,target_kind,target_name,workspace_id)", "SELECT"],
  ],
  audit_leaves: ["INSERT", "SELECT"],
  audit_nodes: ["INSERT", "SELECT"],
  audit_pending: ["DELETE", "SELECT"],
  audit_retentions: ["SELECT", "UPDATE(days)"],
};

async function rightsOf(sql: Sql, role: string): Promise<Record<string, string>> {
  const rows = await sql<{ name: string; rights: string }[]>`
    select c.relname as name, coalesce(string_agg(r.text, ',' order by r.text), '') as rights
    from pg_class c left join lateral (
      select p.name as text
      from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p (name)
      where has_table_privilege(${role}, c.oid, p.name)
      union all
      select p.name || '(' || string_agg(a.attname, ',' order by a.attname) || ')'
      from unnest(array['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) p (name), pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        and not has_table_privilege(${role}, c.oid, p.name) and has_column_privilege(${role}, c.oid, a.attnum, p.name)
      group by p.name) r on true
    where c.relnamespace = 'x3sproxy'::regnamespace and c.relkind = 'r' and c.relname like 'audit\\_%'
    group by c.relname`;
  return Object.fromEntries(rows.map(({ name, rights }) => [name, rights]));
}

test("nobody but the owner may change or take away anything that is sealed", async () => {
  await log.owner(async (sql) => {
    const mine = Object.entries(RIGHTS).map(([table, rights]) => [table, rights.join(",")]);
    assert.deepEqual(await rightsOf(sql, "x3sproxy_control"), Object.fromEntries(mine));
    for (const rights of Object.values(await rightsOf(sql, "x3sproxy_proxy"))) {
      assert.equal(rights, "");
    }
  });
  for (const table of Object.keys(RIGHTS)) {
    await assert.rejects(control(`truncate x3sproxy.${table}`), DENIED);
    await assert.rejects(control(`alter table x3sproxy.${table} disable trigger all`), DENIED);
  }
});

test("what runs with the owner's rights looks for nothing in a schema that its caller chooses", async () => {
  const functions = await log.owner(
    (sql) => sql<{ name: string; settings: string[] | null }[]>`
      select p.proname as name, p.proconfig as settings from pg_proc p
      where p.pronamespace = 'x3sproxy'::regnamespace and p.prosecdef`,
  );
  assert.ok(functions.length > 20, String(functions.length));
  for (const { name, settings } of functions) {
    assert.deepEqual(settings, ["search_path=pg_catalog, pg_temp"], name);
  }
});
