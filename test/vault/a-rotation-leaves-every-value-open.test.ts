import assert from "node:assert/strict";
import test from "node:test";
import postgres from "postgres";
import sodium from "libsodium-wrappers";
import { TOTP, Secret } from "otpauth";
import { SEALED_TABLES } from "../../src/vault/sealed-tables.ts";
import { verifyMasterKeys, KeyRing } from "../../src/vault/index.ts";
import { actorIn } from "../support/actor.ts";
import { sealAsBefore } from "./earlier-formats.ts";
import { sent } from "./fixture.ts";
import { keyMaker, openRotation, SEED } from "./rotation-fixture.ts";

const [a, b, c] = [keyMaker(), keyMaker(), keyMaker()];

function codeNow(nowMs: number): string {
  return TOTP.generate({ secret: Secret.fromBase32(SEED), timestamp: nowMs });
}

test("everything goes over to the new key, and what is derived or signed stays as it was", async (t) => {
  const it = await openRotation(t);
  const first = await it.startProcess(a);
  const values = await it.addSecrets(first, 170);
  const userId = await it.addSecondFactor(first);
  const derived = first.vault.derive("a purpose");
  const bearer = first.vault.deriveBearer("x3sproxy_", ["a purpose"]);
  await first.stop();

  const [one, two] = [await it.startProcess(b, a), await it.startProcess(a, b)];
  assert.equal(one.ring.active.id, a.id, "the database says which key is active, not the order");
  const begun = await it.masterKeys.rotate(actorIn(it.workspaceId), b.id);
  assert.deepEqual(
    { ...begun.rotation },
    { to: b.id, state: "running", rewrapped: 0, left: 173, unreadable: 0 },
  );
  await Promise.all([one.settle(), two.settle()]);
  for (let round = 0; round < 3; round += 1) {
    for (const each of [one, two]) {
      each.pass(10_000);
      await each.rotation.run();
    }
  }
  const { rotation, masterKeys } = await it.masterKeys.list(it.workspaceId);
  assert.deepEqual(rotation, {
    ...{ to: b.id, state: "done", rewrapped: 173, left: 0, unreadable: 0 },
  });
  assert.deepEqual(
    masterKeys.map(({ id, active, sealed, heldBy }) => ({ id, active, sealed, heldBy })),
    [
      { id: a.id, active: false, sealed: 0, heldBy: 2 },
      { id: b.id, active: true, sealed: 173, heldBy: 2 },
    ],
  );
  assert.deepEqual(await it.keysInUse(), [b.id]);

  await one.stop();
  await two.stop();
  const last = await it.startProcess(b);
  for (const [id, value] of values) assert.equal(await it.sentBy(last, id), value);
  const [factor] = await it.owner<{ keyId: string; wrappedKey: Buffer; ciphertext: Buffer }[]>`
    select key_id as "keyId", wrapped_key as "wrappedKey", ciphertext from x3sproxy.second_factors`;
  assert.ok(factor !== undefined);
  const nowMs = 1_700_000_000_000;
  const owner = { workspaceId: it.workspaceId, userId };
  const at = { code: codeNow(nowMs), nowMs };
  assert.equal(last.vault.matchingStep(owner, factor, at), Math.floor(nowMs / 30_000));
  assert.equal(last.vault.derive("a purpose"), derived);
  assert.equal(last.vault.deriveBearer("x3sproxy_", ["a purpose"]), bearer);
  assert.deepEqual(last.signer.publicKey, first.signer.publicKey);

  const events = await it.owner`
    select action, actor_kind, target_id, result, detail from x3sproxy.audit_events
    where action like 'master_key.%' order by id`;
  assert.deepEqual(
    events.map((event): unknown[] => {
      const { action, actor_kind: kind, target_id: id, result } = event;
      return [action, kind, id, result, JSON.parse(String(event["detail"])) as unknown];
    }),
    [
      ["master_key.activate", "service", b.id, "done", { from: a.id }],
      ["master_key.rotate", "service", b.id, "begun", { from: a.id, left: 173 }],
      ["master_key.rotate", "service", b.id, "done", { rewrapped: 173 }],
    ],
  );
});

test("only data keys are opened, and the ciphertext stays; a value of an earlier format is sealed anew, once", async (t) => {
  const it = await openRotation(t);
  const process = await it.startProcess(a, b, c);
  const [[id, value] = ["", ""], [oldId, oldValue] = ["", ""]] = await it.addSecrets(process, 2);
  const before = await it.secretRow(id);
  assert.equal(before.ciphertext[0], 3);
  const old = await it.secretRow(oldId);
  const format1 = sealAsBefore(1, a.make(), old, oldValue);
  await it.owner`
    update x3sproxy.secret_versions set wrapped_key = ${format1.wrappedKey}, ciphertext = ${format1.ciphertext}
    where secret_id = ${oldId}`;
  assert.equal(await it.sentBy(process, oldId), oldValue);

  const cipher = t.mock.method(sodium, "crypto_aead_xchacha20poly1305_ietf_decrypt");
  await it.masterKeys.rotate(actorIn(it.workspaceId), b.id);
  await process.rotation.run();
  const opened = cipher.mock.calls.map(({ result }) => result as unknown as Uint8Array);
  // Two secrets and two keys of the service: their data keys, and the one value of the first format.
  assert.equal(opened.length, 5);
  for (const bytes of opened)
    assert.ok(
      bytes.every((byte) => byte === 0),
      "zeroed",
    );
  cipher.mock.restore();

  const after = await it.secretRow(id);
  assert.equal(after.keyId, b.id);
  assert.deepEqual(after.ciphertext, before.ciphertext);
  assert.notDeepEqual(after.wrappedKey, before.wrappedKey);
  const anew = await it.secretRow(oldId);
  assert.deepEqual([anew.keyId, anew.ciphertext[0], anew.wrappedKey[0]], [b.id, 3, 1]);
  await it.masterKeys.rotate(actorIn(it.workspaceId), c.id);
  await process.rotation.run();
  assert.deepEqual((await it.secretRow(oldId)).ciphertext, anew.ciphertext);
  for (const [each, text] of [
    [id, value],
    [oldId, oldValue],
  ] as const) {
    assert.equal(await it.sentBy(process, each), text);
  }
});

test("a rewrapped value opens in no other place", async (t) => {
  const it = await openRotation(t);
  const process = await it.startProcess(a, b);
  const [[id] = [""]] = await it.addSecrets(process, 1);
  await it.masterKeys.rotate(actorIn(it.workspaceId), b.id);
  await process.rotation.run();
  const row = await it.secretRow(id);
  assert.equal(row.keyId, b.id);
  for (const moved of [
    { ...row, origin: "https://evil.example" },
    { ...row, version: 2 },
    { ...row, secretId: it.workspaceId },
    { ...row, workspaceId: id },
    { ...row, header: "x-request-id" },
    { ...row, scheme: "Bearer" },
    { ...row, keyId: a.id },
  ]) {
    assert.throws(() => sent(process.vault, process.vault.hold(moved)), { name: "SealError" });
  }
});

test("what is held stays open, what is remembered sealed opens, and nobody is told of a change", async (t) => {
  const it = await openRotation(t);
  const process = await it.startProcess(a, b);
  const [[id, value] = ["", ""]] = await it.addSecrets(process, 1);
  const row = await it.secretRow(id);
  const [held, remembered] = [process.vault.hold(row), process.vault.hold(row)];
  assert.equal(sent(process.vault, held), value);
  const heard: string[] = [];
  const listener = postgres(it.database.ownerUrl, { max: 1, onnotice: () => undefined });
  t.after(() => listener.end());
  await listener.listen("x3sproxy_changes", (payload) => void heard.push(payload));
  await it.masterKeys.rotate(actorIn(it.workspaceId), b.id);
  await process.rotation.run();
  assert.equal((await it.secretRow(id)).keyId, b.id);
  assert.equal(sent(process.vault, held), value);
  assert.equal(sent(process.vault, remembered), value);
  await listener`update x3sproxy.secret_versions set ciphertext = ciphertext || '\\x00'`;
  await listener`select pg_notify('x3sproxy_changes', 'marker')`;
  while (heard.at(-1) !== "marker") await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    heard,
    [`workspace ${it.workspaceId}`, "marker"],
    "only the edit by hand is told",
  );
});

test("a row that doesn't open is named, left as it is, and keeps the old key needed", async (t) => {
  const it = await openRotation(t);
  const process = await it.startProcess(a, b);
  const ids = [...(await it.addSecrets(process, 60)).keys()];
  const [broken = "", other = ""] = ids;
  await it.owner`
    update x3sproxy.secret_versions set origin = 'https://evil.example' where secret_id = ${broken}`;
  await it.masterKeys.rotate(actorIn(it.workspaceId), b.id);
  for (let round = 0; round < 4; round += 1) await process.settle();
  const { rotation } = await it.masterKeys.list(it.workspaceId);
  assert.deepEqual(rotation, { to: b.id, state: "running", rewrapped: 61, left: 1, unreadable: 1 });
  assert.equal((await it.secretRow(other)).keyId, b.id);
  assert.equal((await it.secretRow(broken)).keyId, a.id);
  const named = it.lines
    .join("")
    .split("\n")
    .filter((line) => line.includes(broken));
  assert.equal(named.length, 1);
  await process.stop();
  await assert.rejects(verifyMasterKeys(it.database.ownerUrl, new KeyRing([b.make()])), {
    name: "ConfigError",
    message: new RegExp(`^a master key is missing: .* under key ${a.id}, the given one is ${b.id}`),
  });
  await it.owner`delete from x3sproxy.secrets where id = ${broken}`;
  const again = await it.startProcess(a, b);
  await again.settle();
  assert.equal((await it.masterKeys.list(it.workspaceId)).rotation.state, "done");
});

test("a key that a process lacks can't be made active, nor one that nobody knows", async (t) => {
  const it = await openRotation(t);
  const by = actorIn(it.workspaceId);
  const old = await it.startProcess(a);
  await assert.rejects(it.masterKeys.rotate(by), { status: 409, code: "master_key_not_named" });
  await assert.rejects(it.masterKeys.rotate(by, b.id), {
    status: 404,
    code: "master_key_not_found",
  });
  const fresh = await it.startProcess(a, b);
  await assert.rejects(it.masterKeys.rotate(by, b.id), {
    status: 409,
    code: "master_key_not_held",
    message: new RegExp(`1 of 2 lack it: ${old.processId} `),
  });
  await old.stop();
  assert.equal((await it.masterKeys.rotate(by)).rotation.to, b.id);
  assert.equal((await it.masterKeys.rotate(by, b.id)).rotation.to, b.id, "again does nothing");
  await assert.rejects(it.startProcess(a), {
    name: "ConfigError",
    message: /^a master key is missing|wrong/,
  });
  assert.equal((await it.masterKeys.rotate(by)).rotation.to, b.id, "nor does it go back by itself");
  await fresh.settle();
  await fresh.settle();
  await assert.rejects(it.masterKeys.rotate(by), {
    code: "master_key_not_named",
    message: /^There is no new master key/,
  });
  await it.startProcess(b, c, a, keyMaker());
  await assert.rejects(it.masterKeys.rotate(by), {
    code: "master_key_not_named",
    message: /^There are several new master keys/,
  });
});

test("it isn't done while a process may still seal under the old key", async (t) => {
  const it = await openRotation(t);
  const [quick, slow] = [await it.startProcess(a, b), await it.startProcess(a, b)];
  await it.masterKeys.rotate(actorIn(it.workspaceId), b.id);
  await quick.settle();
  await quick.settle();
  const state = async () => (await it.masterKeys.list(it.workspaceId)).rotation;
  assert.deepEqual(await state(), {
    to: b.id,
    state: "running",
    rewrapped: 2,
    left: 0,
    unreadable: 0,
  });
  const [[id] = [""]] = await it.addSecrets(slow, 1);
  assert.equal((await it.secretRow(id)).keyId, a.id);
  await slow.rotation.run();
  assert.equal((await state()).state, "running", "what it has begun may not be committed yet");
  await slow.settle();
  await quick.settle();
  assert.deepEqual(await state(), {
    to: b.id,
    state: "done",
    rewrapped: 3,
    left: 0,
    unreadable: 0,
  });
  assert.equal((await it.secretRow(id)).keyId, b.id);
});

test("a process that lacks the active key says so once, and only what is under that key is closed to it", async (t) => {
  const it = await openRotation(t);
  const poor = await it.startProcess(a);
  const [[kept, value] = ["", ""]] = await it.addSecrets(poor, 1);
  // Past the rule that all processes must hold it: as one that was asleep for longer than a minute would find it.
  await it.owner`delete from x3sproxy.process_keys`;
  const rich = await it.startProcess(a, b);
  await it.masterKeys.rotate(actorIn(it.workspaceId), b.id);
  for (let report = 0; report < 3; report += 1) await poor.rotation.run();
  const said = it.lines
    .join("")
    .split("\n")
    .filter((line) => line.includes("is missing here"));
  assert.deepEqual([said.length, said[0]?.includes(b.id)], [1, true]);
  assert.equal(await it.sentBy(poor, kept), value);
  const [[late, lateValue] = ["", ""]] = await it.addSecrets(poor, 1);
  await rich.rotation.run();
  await assert.rejects(it.sentBy(poor, kept), {
    name: "SealError",
    message: `secret ${kept} version 1 was sealed under master key ${b.id}, and this is ${a.id}`,
  });
  assert.equal(await it.sentBy(rich, kept), value);
  assert.equal(await it.sentBy(rich, late), lateValue);
});

test("no table with wrapped keys is forgotten", async (t) => {
  const it = await openRotation(t);
  const tables = await it.owner<{ name: string }[]>`
    select distinct table_name as name from information_schema.columns
    where table_schema = 'x3sproxy' and column_name in ('wrapped_key', 'key_id') and table_name <> 'master_keys'`;
  assert.deepEqual(
    tables.map(({ name }) => name).sort(),
    SEALED_TABLES.map(({ name }) => name).sort(),
  );
  for (const { name, key } of SEALED_TABLES) {
    const columns = await it.owner<{ name: string }[]>`
      select a.attname as name from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
      where i.indisprimary and i.indrelid = ${`x3sproxy.${name}`}::regclass`;
    assert.deepEqual(columns.map((each) => each.name).sort(), [...key].sort());
  }
});
