// A workspace with an audit of its own, made without a service: events of any age, sealed at once, and the tree rebuilt of what the
// database holds, by the definition of a leaf alone.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import {
  createAuditRetention,
  createErasures,
  createSequencer,
  record,
  type Actor,
  type Sequencer,
} from "../../src/audit/index.ts";
import type { ErasedPart, ErasureList } from "./erasure-lists.ts";
import { actorCommitment, leafData, targetCommitment } from "../../src/audit/leaf.ts";
import { GrowingTree, leafHash } from "../../src/audit/merkle.ts";
import { openCheckpoint, originOfLog, verifierKey, type LogSigner } from "../../src/audit/note.ts";
import { withOwner } from "../../src/db/connection.ts";
import { createPool, type Pool, type Sql } from "../../src/db/index.ts";
import { createLog } from "../../src/platform/log.ts";
import { KeyRing, MasterKey, openLogSigner, verifyMasterKeys } from "../../src/vault/index.ts";
import { createTestDatabase } from "../support/database.ts";

export const DAY_MS = 86_400_000;

/** What can be seen of a tree's events in the database. */
export interface SeenLog {
  readonly tree: GrowingTree;
  /** The indexes of absent events. */
  readonly gone: number[];
  /** Parts without a salt. */
  readonly blank: ErasedPart[];
  readonly erasures: ErasureList[];
}

export async function openLogs() {
  const database = await createTestDatabase();
  const log = createLog({ level: "silent" });
  const pool = createPool(database.controlUrl);
  const key = new KeyRing([new MasterKey(Buffer.from(database.masterKey, "base64"))]);
  await verifyMasterKeys(database.ownerUrl, key);
  const signer: LogSigner = await openLogSigner(database.ownerUrl, key);
  const sequencer: Sequencer = createSequencer({ pool, signer, log });
  const owner = <T>(work: (sql: Sql) => Promise<T>): Promise<T> =>
    withOwner(database.ownerUrl, work);

  const addWorkspace = async (): Promise<string> => {
    const id = randomUUID();
    await owner(
      (sql) =>
        sql`insert into x3sproxy.workspaces (id, name) values (${id}, ${`w-${id.slice(0, 8)}`})`,
    );
    return id;
  };
  /** Adds an event for each time, ms since 1970, in this order, and seals them unless told not to. */
  const addEvents = async (workspaceId: string, times: readonly number[], seal = true) => {
    await pool.inWorkspace(workspaceId, async (sql) => {
      for (const [i] of times.entries()) {
        const target = { kind: "secret", id: randomUUID(), name: `openai/e${i}` };
        await record(sql, actorIn(workspaceId), { action: "secret.set", target, detail: { i } });
      }
    });
    await owner(async (sql) => {
      const rows = await sql<{ id: string }[]>`
        select id from (select id from x3sproxy.audit_events where workspace_id = ${workspaceId}
          order by id desc limit ${times.length}) newest order by id`;
      for (const [i, { id }] of rows.entries()) {
        const at = new Date(times[i] ?? 0);
        await sql`update x3sproxy.audit_events set created_at = ${at} where id = ${id}`;
      }
    });
    if (seal) await sequencer.run();
  };
  /** Everything of a workspace's log; fails unless the tree is the one that was signed last. */
  const look = (workspaceId: string): Promise<SeenLog> =>
    owner((sql) => lookAt(sql, workspaceId, signer));

  return {
    ...{ database, pool, signer, sequencer, owner, addWorkspace, addEvents, look },
    retention: createAuditRetention({ pool }),
    erasures: createErasures({ pool, sequencer }),
    newPool: (): Pool => createPool(database.controlUrl),
    async close() {
      await pool.close();
      await database.drop();
    },
  };
}

export function actorIn(workspaceId: string): Actor {
  return {
    ...{ workspaceId, kind: "api_key", id: randomUUID(), name: "pipeline" },
    ...{ address: "192.0.2.7", method: "api_key" },
  };
}

export async function lookAt(sql: Sql, workspaceId: string, signer: LogSigner): Promise<SeenLog> {
  const rows = await sql`
    select e.*, to_char(e.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at,
      l.leaf_index, l.leaf_hash, l.actor_commitment, l.target_commitment
    from x3sproxy.audit_leaves l left join x3sproxy.audit_events e on e.id = l.event_id
    where l.workspace_id = ${workspaceId} order by l.leaf_index`;
  const tree = new GrowingTree();
  const gone: number[] = [];
  const blank: ErasedPart[] = [];
  const erasures: ErasureList[] = [];
  for (const row of rows) {
    const index = tree.size;
    assert.equal(Number(row["leaf_index"]), index);
    const text = (name: string): string => String(row[name]);
    const orNull = (name: string): string | null => row[name] as string | null;
    const kept = (name: string): string => (row[name] as Buffer).toString("hex");
    if (row["id"] === null) {
      gone.push(index);
      tree.append(row["leaf_hash"] as Buffer);
      continue;
    }
    const actor = { salt: text("actor_salt"), id: orNull("actor_id"), name: text("actor_name") };
    const target = { salt: text("target_salt"), id: text("target_id"), name: text("target_name") };
    if (row["actor_salt"] === null) blank.push({ index, part: "actor" });
    if (row["target_salt"] === null) blank.push({ index, part: "target" });
    const commitments = {
      actor:
        row["actor_salt"] === null
          ? kept("actor_commitment")
          : actorCommitment({ ...actor, address: orNull("address") }),
      target: row["target_salt"] === null ? kept("target_commitment") : targetCommitment(target),
    };
    const event = {
      ...{ id: text("id"), workspaceId, at: text("at"), actorKind: text("actor_kind") },
      ...{ method: text("method"), action: text("action"), targetKind: text("target_kind") },
      ...{ beforeHash: orNull("before_hash"), afterHash: orNull("after_hash") },
      ...{ result: text("result"), detail: orNull("detail") },
    };
    tree.append(leafHash(leafData(event, commitments)));
    if (event.action === "audit.erase") {
      const { list } = JSON.parse(event.detail ?? "") as { list: string };
      const parts = await sql<ErasedPart[]>`
        select leaf_index::float8 as index, part from x3sproxy.audit_erasures where erasure_event_id = ${event.id}`;
      erasures.push({ list, parts });
    }
  }
  const [last] = await sql<{ note: string }[]>`
    select note from x3sproxy.audit_checkpoints where workspace_id = ${workspaceId} order by size desc limit 1`;
  assert.ok(last !== undefined);
  const key = verifierKey(originOfLog(workspaceId), signer.publicKey);
  const checkpoint = openCheckpoint(last.note, key);
  assert.equal(checkpoint.size, tree.size);
  assert.deepEqual(checkpoint.root, tree.root(), "the tree is the one that was signed");
  return { tree, gone, blank, erasures };
}
