import assert from "node:assert/strict";
import test from "node:test";
import { openSecrets } from "../vault/database-fixture.ts";
import { actorIn } from "../support/actor.ts";

const KEYS = ["sk-ant-api03-FAKE/canary+0001~key=aaaa", "sk-ant-api03-FAKE/canary+0002~key=bbbb"];

/** Pieces of at least 12 characters of every form, so that a part of a key is found too, and a shifted base64. */
function tracesOf(key: string): string[] {
  const bytes = Buffer.from(key);
  const forms = [
    key,
    encodeURIComponent(key),
    bytes.toString("hex"),
    ...[0, 1, 2].flatMap((shift) => {
      const shifted = Buffer.concat([Buffer.alloc(shift, " "), bytes]);
      return [shifted.toString("base64"), shifted.toString("base64url")].map((text) =>
        text.slice(4, -4),
      );
    }),
  ];
  return forms.flatMap((form) =>
    Array.from({ length: Math.max(0, form.length - 12) }, (_, i) => form.slice(i, i + 12)),
  );
}

test("after saving, rotating, rolling back and failing to save, the whole database holds no trace of a key", async (t) => {
  const { secrets, workspaceId, owner } = await openSecrets(t);
  const anthropic = { provider: "anthropic", environment: "production", label: "canary" };
  const [first = "", second = ""] = KEYS;
  const { id } = await secrets.set(actorIn(workspaceId), { ...anthropic, value: first });
  await secrets.set(actorIn(workspaceId), { ...anthropic, value: second });
  await secrets.rollback(actorIn(workspaceId), id);
  await secrets.set(actorIn(workspaceId), { ...anthropic, value: second });
  await assert.rejects(
    secrets.set(actorIn(workspaceId), { ...anthropic, label: first, value: first }),
  );
  await assert.rejects(
    secrets.set(actorIn(workspaceId), { ...anthropic, provider: first, value: first }),
  );

  const tables = await owner<{ name: string }[]>`
    select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_tables
    where schemaname not in ('information_schema')`;
  assert.ok(tables.length > 60, "our own and the server's");
  let dump = "";
  for (const { name } of tables) {
    for (const { row } of await owner<
      { row: string }[]
    >`select t::text as row from ${owner.unsafe(name)} t`) {
      dump += `${row}\n`;
    }
  }
  for (const bytea of await owner<{ bytes: Buffer }[]>`
    select wrapped_key || ciphertext as bytes from x3sproxy.secret_versions`) {
    dump += `${bytea.bytes.toString("latin1")}\n`;
  }
  assert.ok(
    dump.includes("canary") && dump.includes("sk-…bbbb"),
    "the dump is of the right database",
  );
  for (const key of KEYS) {
    for (const trace of tracesOf(key)) {
      if (trace === "sk-ant-api03") continue;
      assert.ok(!dump.includes(trace));
    }
  }
});
