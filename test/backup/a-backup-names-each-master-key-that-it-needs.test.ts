import assert from "node:assert/strict";
import { it } from "node:test";
import { ConfigError } from "../../src/platform/errors.ts";
import { KeyRing, MasterKey, verifyMasterKeys } from "../../src/vault/index.ts";
import { MASTER_KEY_ID, openAdmin } from "../admin/fixture.ts";
import { backUp, createEmptyDatabase, isUntouched, opening, restoreTo } from "./fixture.ts";

it("a backup that is made in the midst of a rotation names the new master key, too, though nothing is under it yet", async (t) => {
  const admin = await openAdmin(t);
  const { ownerUrl, masterKey: oldKey } = admin.database;
  const newKey = Buffer.alloc(32, "another").toString("base64");
  const keyOf = (text: string): MasterKey => new MasterKey(Buffer.from(text, "base64"));
  const { id } = keyOf(newKey);
  await verifyMasterKeys(ownerUrl, new KeyRing([keyOf(oldKey), keyOf(newKey)]));
  const [row] = await admin.owner.begin(async (sql) => {
    await sql`select set_config('x3sproxy.workspace', ${admin.workspaceId}, true)`;
    return sql<[{ said: string }]>`select x3sproxy.activate_master_key(${id}) as said`;
  });
  assert.equal(row.said, "done");

  const { sealed, identity } = await backUp(admin);
  const open = opening(sealed, identity);
  const url = await createEmptyDatabase(t);
  for (const [masterKey, missing] of [
    [oldKey, id],
    [newKey, MASTER_KEY_ID],
  ] as const) {
    await assert.rejects(
      restoreTo(url, open, { masterKey }),
      (error) =>
        error instanceof ConfigError &&
        error.message.startsWith(`wrong master key: the backup needs ${missing}, `),
    );
    assert.ok(await isUntouched(url));
  }
  const { restored } = await restoreTo(url, open, { masterKey: `${oldKey},${newKey}` });
  assert.ok(restored.rows > 0);
});
