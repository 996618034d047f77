import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import test, { type TestContext } from "node:test";
import postgres from "postgres";
import { ConfigError } from "../../src/errors.ts";
import { verifyMasterKey } from "../../src/vault/index.ts";
import { createTestDatabase } from "../support/database.ts";
import { masterKeyOf } from "./fixture.ts";

async function freshDatabase(t: TestContext) {
  const database = await createTestDatabase();
  const { ownerUrl } = database;
  const owner = postgres(ownerUrl, { max: 1, onnotice: () => undefined });
  t.after(async () => {
    await owner.end();
    await database.drop();
  });
  return { ownerUrl, owner };
}

const freshKey = () => masterKeyOf(randomBytes(32).toString("base64"));

test("the first key is recorded, and it alone is accepted from then on", async (t) => {
  const { ownerUrl, owner } = await freshDatabase(t);
  const [right, wrong] = [await freshKey(), await freshKey()];
  await verifyMasterKey(ownerUrl, right);
  await verifyMasterKey(ownerUrl, right);
  await assert.rejects(verifyMasterKey(ownerUrl, wrong), (error) => {
    assert.ok(error instanceof ConfigError);
    assert.equal(
      error.message,
      `wrong master key: this database was sealed under key ${right.id}, the given one is ${wrong.id}`,
    );
    return true;
  });
  const rows = await owner`select key_id from x3sproxy.master_keys`;
  assert.deepEqual([...rows], [{ key_id: right.id }]);
});

test("of two first starts at once with different keys, one wins", async (t) => {
  const { ownerUrl, owner } = await freshDatabase(t);
  const keys = await Promise.all([freshKey(), freshKey(), freshKey(), freshKey()]);
  const results = await Promise.allSettled(keys.map((key) => verifyMasterKey(ownerUrl, key)));
  assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
  for (const result of results) {
    if (result.status === "rejected") assert.match(String(result.reason), /wrong master key/);
  }
  assert.equal((await owner`select from x3sproxy.master_keys`).length, 1);
});

test("many first starts at once with one key all succeed", async (t) => {
  const { ownerUrl } = await freshDatabase(t);
  const key = await freshKey();
  await Promise.all(Array.from({ length: 8 }, () => verifyMasterKey(ownerUrl, key)));
});

test("a check value that was edited by hand is not taken for the right key", async (t) => {
  const { ownerUrl, owner } = await freshDatabase(t);
  const [key, other] = [await freshKey(), await freshKey()];
  await verifyMasterKey(ownerUrl, other);
  await owner`update x3sproxy.master_keys set key_id = ${key.id}`;
  await assert.rejects(verifyMasterKey(ownerUrl, key), {
    name: "ConfigError",
    message: /does not open its check value/,
  });
});
