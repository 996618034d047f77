import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test, { after, before } from "node:test";
import { createSequencer, record, type Actor } from "../../src/audit/index.ts";
import { actorCommitment, leafData, targetCommitment } from "../../src/audit/leaf.ts";
import { GrowingTree, leafHash } from "../../src/audit/merkle.ts";
import { openCheckpoint, originOfLog, verifierKey, type LogSigner } from "../../src/audit/note.ts";
import { withOwner } from "../../src/db/connection.ts";
import { createPool, type Pool } from "../../src/db/index.ts";
import { createLog } from "../../src/platform/log.ts";
import { KeyRing, MasterKey, openLogSigner, verifyMasterKeys } from "../../src/vault/index.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

const log = createLog({ level: "silent" });
let database: TestDatabase;
let pool: Pool;
let signer: LogSigner;

before(async () => {
  database = await createTestDatabase();
  pool = createPool(database.controlUrl);
  const key = new KeyRing([new MasterKey(Buffer.from(database.masterKey, "base64"))]);
  await verifyMasterKeys(database.ownerUrl, key);
  signer = await openLogSigner(database.ownerUrl, key);
});
after(async () => {
  await pool.close();
  await database.drop();
});

const owner = <T>(work: Parameters<typeof withOwner<T>>[1]): Promise<T> =>
  withOwner(database.ownerUrl, work);
const newSequencer = (seen: string[] = []) =>
  createSequencer({ pool, signer, log, onDamaged: () => seen.push("damaged") });

function actorOf(workspaceId: string): Actor {
  const id = randomUUID();
  return {
    workspaceId,
    kind: "user",
    id,
    name: "ada@example.com",
    address: "192.0.2.7",
    method: "session",
  };
}

async function makeEvents(workspaceId: string, count: number): Promise<void> {
  const by = actorOf(workspaceId);
  await pool.inWorkspace(workspaceId, async (sql) => {
    for (let i = 0; i < count; i += 1) {
      const target = { kind: "secret", id: randomUUID(), name: `openai/e${i}` };
      const detail = i % 2 === 0 ? { version: i, provider: "openai" } : undefined;
      await record(sql, by, { action: "secret.set", target, after: { i }, detail });
    }
  });
}

/** The tree as anybody can make it of the rows, by the definition of a leaf alone. */
async function rebuilt(workspaceId: string): Promise<GrowingTree> {
  const rows = await owner(
    (sql) => sql`
      select e.*, to_char(e.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at, l.leaf_index
      from x3sproxy.audit_leaves l join x3sproxy.audit_events e on e.id = l.event_id
      where l.workspace_id = ${workspaceId} order by l.leaf_index`,
  );
  const tree = new GrowingTree();
  for (const row of rows) {
    assert.equal(Number(row["leaf_index"]), tree.size);
    const text = (name: string): string => String(row[name]);
    const orNull = (name: string): string | null => row[name] as string | null;
    const commitments = {
      actor: actorCommitment({
        salt: text("actor_salt"),
        id: orNull("actor_id"),
        name: text("actor_name"),
        address: orNull("address"),
      }),
      target: targetCommitment({
        salt: text("target_salt"),
        id: text("target_id"),
        name: text("target_name"),
      }),
    };
    const event = {
      ...{ id: text("id"), workspaceId, at: text("at"), actorKind: text("actor_kind") },
      ...{ method: text("method"), action: text("action"), targetKind: text("target_kind") },
      ...{ beforeHash: orNull("before_hash"), afterHash: orNull("after_hash") },
      ...{ result: text("result"), detail: orNull("detail") },
    };
    tree.append(leafHash(leafData(event, commitments)));
  }
  return tree;
}

async function lastNote(workspaceId: string): Promise<string> {
  const [row] = await owner(
    (sql) => sql<[{ note: string }]>`
      select note from x3sproxy.audit_checkpoints where workspace_id = ${workspaceId} order by size desc limit 1`,
  );
  return row.note;
}

function verifierOf(workspaceId: string): string {
  return verifierKey(originOfLog(workspaceId), signer.publicKey);
}

test("events of several workspaces are sealed, in batches, each into its own signed tree", async () => {
  const [one, two] = [randomUUID(), randomUUID()];
  const sequencer = newSequencer();
  await makeEvents(one, 3);
  await makeEvents(two, 600);
  assert.equal(await sequencer.run(), 603);
  await makeEvents(one, 300);
  assert.equal(await sequencer.run(), 300);
  assert.equal(await sequencer.run(), 0);
  for (const [workspaceId, size] of [
    [one, 303],
    [two, 600],
  ] as const) {
    const checkpoint = openCheckpoint(await lastNote(workspaceId), verifierOf(workspaceId));
    const tree = await rebuilt(workspaceId);
    assert.equal(tree.size, size);
    assert.equal(checkpoint.size, size);
    assert.deepEqual(checkpoint.root, tree.root());
  }
  const [node] = await owner(
    (sql) =>
      sql`select count(*)::int as count from x3sproxy.audit_nodes where workspace_id = ${two}`,
  );
  assert.equal(node?.["count"], 2, "of 600 leaves two subtrees of 256 are full");
});

test("of many sequencers at once each event is sealed by one", async () => {
  const workspaceId = randomUUID();
  await makeEvents(workspaceId, 40);
  const sequencers = Array.from({ length: 4 }, () => newSequencer());
  for (;;) {
    const sealed = await Promise.all(sequencers.map((each) => each.run()));
    if (sealed.every((count) => count === 0)) break;
  }
  const checkpoint = openCheckpoint(await lastNote(workspaceId), verifierOf(workspaceId));
  assert.equal(checkpoint.size, 40);
  assert.deepEqual(checkpoint.root, (await rebuilt(workspaceId)).root());
});

test("an event that is committed late is sealed all the same", async () => {
  const workspaceId = randomUUID();
  const sequencer = newSequencer();
  await pool.inWorkspace(workspaceId, async (sql) => {
    const target = { kind: "agent", id: "a", name: "late" };
    await record(sql, actorOf(workspaceId), { action: "agent.deploy", target });
    // With a higher id, and committed and sealed before.
    await makeEvents(workspaceId, 1);
    assert.equal(await sequencer.run(), 1);
  });
  assert.equal(await sequencer.run(), 1);
  assert.equal((await rebuilt(workspaceId)).size, 2);
});

test("the tree's rows can be added to and read, and no role of the service can change them", async () => {
  const workspaceId = randomUUID();
  await makeEvents(workspaceId, 2);
  await newSequencer().run();
  const denied = (statement: string): Promise<void> =>
    assert.rejects(
      pool.inWorkspace(workspaceId, (sql) => sql.unsafe(statement)),
      { code: "42501" },
      statement,
    );
  for (const table of ["audit_events", "audit_leaves", "audit_nodes", "audit_checkpoints"]) {
    await denied(`delete from x3sproxy.${table}`);
    await denied(`update x3sproxy.${table} set workspace_id = workspace_id`);
    await denied(`truncate x3sproxy.${table}`);
  }
  await denied("update x3sproxy.audit_pending set event_id = event_id");
  await denied("insert into x3sproxy.audit_pending values (1, gen_random_uuid(), now())");
  await denied("select from x3sproxy.sealed_keys");
});

test("on a tree that was edited nothing is signed", async () => {
  const edits = {
    "a leaf's hash":
      "update x3sproxy.audit_leaves set leaf_hash = sha256('x') where leaf_index = 1",
    "a leaf that is gone": "delete from x3sproxy.audit_leaves where leaf_index = 1",
    "a checkpoint that is gone": "delete from x3sproxy.audit_checkpoints",
    "a checkpoint that was edited":
      "update x3sproxy.audit_checkpoints set note = replace(note, E'\\n3\\n', E'\\n2\\n')",
  };
  for (const [name, edit] of Object.entries(edits)) {
    const workspaceId = randomUUID();
    await makeEvents(workspaceId, 3);
    const seen: string[] = [];
    const sequencer = newSequencer(seen);
    await sequencer.run();
    await owner((sql) =>
      sql.unsafe(
        `${edit} ${edit.includes("where") ? "and" : "where"} workspace_id = '${workspaceId}'`,
      ),
    );
    await makeEvents(workspaceId, 1);
    assert.equal(await sequencer.run(), 0, name);
    assert.deepEqual(seen, ["damaged"], name);
    const [row] = await owner(
      (sql) =>
        sql`select count(*)::int as count from x3sproxy.audit_pending where workspace_id = ${workspaceId}`,
    );
    assert.equal(row?.["count"], 1, name);
    await owner(
      (sql) => sql`delete from x3sproxy.audit_pending where workspace_id = ${workspaceId}`,
    );
  }
});

test("an event that is gone before it was sealed leaves a leaf that says so", async () => {
  const workspaceId = randomUUID();
  await makeEvents(workspaceId, 2);
  await owner(
    (sql) => sql`delete from x3sproxy.audit_events where id = (
      select min(id) from x3sproxy.audit_events where workspace_id = ${workspaceId})`,
  );
  assert.equal(await newSequencer().run(), 2);
  assert.equal(openCheckpoint(await lastNote(workspaceId), verifierOf(workspaceId)).size, 2);
});

test("the signing key is the same at the next start, and isn't in the database in the open", async () => {
  const key = new KeyRing([new MasterKey(Buffer.from(database.masterKey, "base64"))]);
  const again = await openLogSigner(database.ownerUrl, key);
  assert.deepEqual(again.publicKey, signer.publicKey);
  const message = Buffer.from("the same message");
  assert.deepEqual(again.sign(message), signer.sign(message));
  assert.doesNotMatch(JSON.stringify(again), /[0-9a-f]{16}|[A-Za-z0-9+/]{20}/);
});
