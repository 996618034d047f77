// A key is sealed for its header and scheme since migration 0020. What was sealed before goes on to open, for the header and scheme that
// its provider had at the migration; what a process of the version before saves while it still runs does, too.
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { test } from "node:test";
import { knownMigrations, migrateWithin, withOwner, type OwnerSql } from "../../src/db/index.ts";
import { builtInProviders } from "../../src/providers/index.ts";
import { createVault, KeyRing, MasterKey, type SealedSecret } from "../../src/vault/index.ts";
import { sealCheckValue } from "../../src/vault/sealing.ts";
import { createEmptyDatabase } from "../backup/fixture.ts";
import { sealAsBefore } from "./earlier-formats.ts";

const MIGRATION = "0020_credential_places.sql";
const WORKSPACE = randomUUID();
const CUSTOM = { header: "x-acme-key", scheme: "Secret" };

async function addKey(
  sql: OwnerSql,
  key: MasterKey,
  provider: string,
  format: 1 | 2,
): Promise<string> {
  const value = `FAKE-${provider}-${format}-${randomUUID()}`;
  const origin = `https://${provider}.example`;
  const place = { workspaceId: WORKSPACE, secretId: randomUUID(), version: 1, origin };
  const sealed = sealAsBefore(format, key, place, value);
  await sql.begin(async (tx) => {
    await tx`
      insert into x3sproxy.secrets (id, workspace_id, provider, environment, active_version)
      values (${place.secretId}, ${WORKSPACE}, ${provider}, ${`e${format}`}, 1)`;
    // Column by column as the version before does it.
    await tx`
      insert into x3sproxy.secret_versions (secret_id, workspace_id, version, origin, key_id, wrapped_key, ciphertext, mask)
      values (${place.secretId}, ${WORKSPACE}, 1, ${origin}, ${sealed.keyId}, ${sealed.wrappedKey}, ${sealed.ciphertext}, '…')`;
  });
  return value;
}

test("each key that is in the database before the migration, and each that comes in the old form after it", async (t) => {
  const url = await createEmptyDatabase(t);
  const known = (await knownMigrations()).map(({ name }) => name);
  const before = known[known.indexOf(MIGRATION) - 1];
  assert.ok(before !== undefined && before < MIGRATION);
  const key = new MasterKey(randomBytes(32));
  const vault = await createVault(new KeyRing([key]));
  const values = new Map<string, string>();
  const providers = [...builtInProviders.keys(), "acme", "gone"];

  await withOwner(url, async (sql) => {
    await sql.begin((tx) => migrateWithin(tx, before));
    await sql`insert into x3sproxy.master_keys (key_id, check_value) values (${key.id}, ${sealCheckValue(key)})`;
    await sql`insert into x3sproxy.workspaces (id, name, home) values (${WORKSPACE}, 'default', true)`;
    await sql`
      insert into x3sproxy.providers (workspace_id, name, origin, header, scheme)
      values (${WORKSPACE}, 'acme', 'https://acme.example', ${CUSTOM.header}, ${CUSTOM.scheme})`;
    for (const name of providers) values.set(`${name} e1`, await addKey(sql, key, name, 1));
    await sql.begin((tx) => migrateWithin(tx));
    for (const name of providers) values.set(`${name} e2`, await addKey(sql, key, name, 2));

    const rows = await sql<(SealedSecret & { environment: string })[]>`
      select v.secret_id as "secretId", v.version, v.workspace_id as "workspaceId", s.provider, s.environment, v.origin,
        v.header, v.scheme, v.key_id as "keyId", v.wrapped_key as "wrappedKey", v.ciphertext
      from x3sproxy.secret_versions v join x3sproxy.secrets s on s.id = v.secret_id`;
    assert.equal(rows.length, 2 * providers.length);
    for (const row of rows) {
      const name = `${row.provider} ${row.environment}`;
      const expected = builtInProviders.get(row.provider)?.credential ?? CUSTOM;
      const inject = () => vault.inject(vault.hold(row).release(), row.origin);
      if (row.provider === "gone") {
        assert.throws(inject, { name: "SealError", message: /no known header/ });
        continue;
      }
      const headers: string[] = [];
      inject().applyTo(headers);
      const value = values.get(name) ?? "";
      assert.deepEqual(
        headers,
        [expected.header, expected.scheme === "" ? value : `${expected.scheme} ${value}`],
        name,
      );
    }
  });
});
