import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import test, { type TestContext } from "node:test";
import postgres from "postgres";
import { ConfigError } from "../../src/platform/errors.ts";
import { verifyMasterKeys } from "../../src/vault/index.ts";
import { createTestDatabase } from "../support/database.ts";
import { ringOf } from "./fixture.ts";

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

const freshKey = () => ringOf(randomBytes(32).toString("base64"));

test("the first key is recorded, and it alone is accepted from then on", async (t) => {
  const { ownerUrl, owner } = await freshDatabase(t);
  const [right, wrong] = [await freshKey(), await freshKey()];
  await verifyMasterKeys(ownerUrl, right);
  await verifyMasterKeys(ownerUrl, right);
  await assert.rejects(verifyMasterKeys(ownerUrl, wrong), (error) => {
    assert.ok(error instanceof ConfigError);
    assert.equal(
      error.message,
      `wrong master key: this database was sealed under key ${right.active.id}, the given one is ${wrong.active.id}`,
    );
    return true;
  });
  const rows = await owner`select key_id from x3sproxy.master_keys`;
  assert.deepEqual([...rows], [{ key_id: right.active.id }]);
});

test("of two first starts at once with different keys, one wins", async (t) => {
  const { ownerUrl, owner } = await freshDatabase(t);
  const keys = await Promise.all([freshKey(), freshKey(), freshKey(), freshKey()]);
  const results = await Promise.allSettled(keys.map((key) => verifyMasterKeys(ownerUrl, key)));
  assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
  for (const result of results) {
    if (result.status === "rejected") assert.match(String(result.reason), /wrong master key/);
  }
  assert.equal((await owner`select from x3sproxy.master_keys`).length, 1);
});

test("many first starts at once with one key all succeed", async (t) => {
  const { ownerUrl } = await freshDatabase(t);
  const key = await freshKey();
  await Promise.all(Array.from({ length: 8 }, () => verifyMasterKeys(ownerUrl, key)));
});

test("a check value that was edited by hand is not taken for the right key", async (t) => {
  const { ownerUrl, owner } = await freshDatabase(t);
  const [key, other] = [await freshKey(), await freshKey()];
  await verifyMasterKeys(ownerUrl, other);
  await owner`update x3sproxy.master_keys set key_id = ${key.active.id}`;
  await assert.rejects(verifyMasterKeys(ownerUrl, key), {
    name: "ConfigError",
    message: /does not open its check value/,
  });
});

test("further keys are recorded and the active one stays; one that is still needed is asked for by its id", async (t) => {
  const { ownerUrl, owner } = await freshDatabase(t);
  const texts = Array.from({ length: 3 }, () => randomBytes(32).toString("base64"));
  const [a = "", b = "", c = ""] = texts;
  const [idOfA, idOfB, idOfC] = (await ringOf(texts.join())).ids;
  await verifyMasterKeys(ownerUrl, await ringOf(a));
  const ring = await ringOf(`${b} ${a}`);
  assert.equal(ring.active.id, idOfB);
  await verifyMasterKeys(ownerUrl, ring);
  assert.equal(ring.active.id, idOfA);
  const rows = await owner`select key_id, active from x3sproxy.master_keys order by active desc`;
  assert.deepEqual(
    [...rows],
    [
      { key_id: idOfA, active: true },
      { key_id: idOfB, active: false },
    ],
  );
  await owner`insert into x3sproxy.sealed_keys (name, key_id, wrapped_key, ciphertext) values ('x', ${idOfA ?? ""}, '', '')`;
  await owner`update x3sproxy.master_keys set active = false`;
  await owner`update x3sproxy.master_keys set active = true where key_id = ${idOfB ?? ""}`;
  await assert.rejects(verifyMasterKeys(ownerUrl, await ringOf(`${b} ${c}`)), {
    name: "ConfigError",
    message:
      `a master key is missing: something in this database is still sealed under key ${idOfA ?? ""}, ` +
      `the given ones are ${idOfB ?? ""}, ${idOfC ?? ""}. Give the missing one as well`,
  });
  await assert.rejects(verifyMasterKeys(ownerUrl, await ringOf(c)), {
    message: `wrong master key: this database was sealed under key ${idOfB ?? ""}, ${idOfA ?? ""}, the given one is ${idOfC ?? ""}`,
  });
  assert.equal(
    (await owner`select from x3sproxy.master_keys`).length,
    2,
    "what is refused leaves nothing",
  );
  await owner`delete from x3sproxy.sealed_keys`;
  await verifyMasterKeys(ownerUrl, await ringOf(`${c} ${b}`));
});
