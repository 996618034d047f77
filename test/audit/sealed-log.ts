// A sealed log in its own database, without a service: writes events and exports, and edits rows as a superuser could.
import { hash, randomUUID } from "node:crypto";
import { createAuditProofs, createSequencer, record, type Actor } from "../../src/audit/index.ts";
import type { AuditFilter } from "../../src/audit/index.ts";
import { originOfLog, verifierKey } from "../../src/audit/note.ts";
import { ExportVerifier, type VerifyOptions } from "../../src/audit/verify.ts";
import type { VerifyReport } from "../../src/audit/verify-report.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { withOwner } from "../../src/db/connection.ts";
import { createPool, type OwnerSql, type TransactionSql } from "../../src/db/index.ts";
import { createLog } from "../../src/platform/log.ts";
import { KeyRing, MasterKey, openLogSigner, verifyMasterKeys } from "../../src/vault/index.ts";
import { createTestDatabase } from "../support/database.ts";

/** A user of a workspace, as an actor. */
export function actorOf(workspaceId: string): Actor {
  const id = randomUUID();
  const [name, address] = ["ada@example.com", "192.0.2.7"];
  return { workspaceId, kind: "user", id, name, address, method: "session" };
}

/** Writes events of several kinds, with and without each optional part. */
export async function writeEvents(
  sql: TransactionSql,
  workspaceId: string,
  count: number,
): Promise<void> {
  const by = actorOf(workspaceId);
  for (let i = 0; i < count; i += 1) {
    const target = { kind: "secret", id: randomUUID(), name: `openai/é${i} "=1+1"` };
    const detail = i % 2 === 0 ? { version: i, provider: "openai" } : undefined;
    const actor = i % 3 === 0 ? { ...by, id: null, address: null, name: "=cmd()" } : by;
    const action = i % 2 === 0 ? "secret.set" : "agent.deploy";
    const before = i % 4 === 0 ? { i: i - 1 } : undefined;
    await record(sql, actor, { action, target, before, after: { i }, detail });
  }
}

export async function openSealedLog() {
  const database = await createTestDatabase();
  const pool = createPool(database.controlUrl);
  const key = new KeyRing([new MasterKey(Buffer.from(database.masterKey, "base64"))]);
  await verifyMasterKeys(database.ownerUrl, key);
  const signer = await openLogSigner(database.ownerUrl, key);
  const log = createLog({ level: "silent" });
  const sequencer = createSequencer({ pool, signer, log });
  const seal = () => sequencer.run();
  const proofs = createAuditProofs({ pool, signer, sequencer, clock: systemClock, log });

  const makeEvents = async (workspaceId: string, count: number): Promise<void> => {
    await pool.inWorkspace(workspaceId, (sql) => writeEvents(sql, workspaceId, count));
    await seal();
  };
  const exportOf = async (
    workspaceId: string,
    filter: AuditFilter = {},
    format: "jsonl" | "csv" = "jsonl",
  ): Promise<Buffer> => {
    const { bytes } = await proofs.export(actorOf(workspaceId), format, filter);
    return Buffer.concat(await Array.fromAsync(bytes));
  };
  const owner = <T>(work: (sql: OwnerSql) => Promise<T>): Promise<T> =>
    withOwner(database.ownerUrl, work);
  return {
    ...{ database, pool, signer, sequencer, proofs, seal, makeEvents, exportOf },
    owner,
    async prune(workspaceId: string, before: number) {
      await owner((sql) => sql.begin((transaction) => prune(transaction, workspaceId, before)));
      await seal();
    },
    async erase(workspaceId: string, parts: Parts) {
      await owner((sql) => sql.begin((transaction) => erase(transaction, workspaceId, parts)));
      await seal();
    },
    keyOf: (workspaceId: string) => verifierKey(originOfLog(workspaceId), signer.publicKey),
    async close() {
      await pool.close();
      await database.drop();
    },
  };
}

const TARGET = { kind: "audit", id: "audit", name: "audit" };
type Parts = readonly (readonly [index: number, part: "actor" | "target"])[];

/** Prunes the events before a leaf, as the retention does. */
export async function prune(
  sql: TransactionSql,
  workspaceId: string,
  before: number,
): Promise<void> {
  const event = { action: "audit.prune", target: TARGET, detail: { before } } as const;
  await record(sql, actorOf(workspaceId), event);
  await sql`
    delete from x3sproxy.audit_events where id in (
      select event_id from x3sproxy.audit_leaves where workspace_id = ${workspaceId} and leaf_index < ${before})`;
}

/** Erases parts of events, as an erasure does. */
export async function erase(sql: TransactionSql, workspaceId: string, parts: Parts): Promise<void> {
  const list = hash("sha256", parts.map(([index, part]) => `${index} ${part}\n`).join(""), "hex");
  const detail = { parts: parts.length, list };
  await record(sql, actorOf(workspaceId), { action: "audit.erase", target: TARGET, detail });
  const [row] = await sql`select max(id) as id from x3sproxy.audit_events`;
  for (const [index, part] of parts) {
    await sql`
      insert into x3sproxy.audit_erasures (workspace_id, leaf_index, part, erasure_event_id)
      values (${workspaceId}, ${index}, ${part}, ${String(row?.["id"])})`;
    await blank(sql, workspaceId, index, part);
  }
}

/** Empties a part of an event without recording it. */
export async function blank(
  sql: Pick<OwnerSql, "unsafe">,
  workspaceId: string,
  index: number,
  part: "actor" | "target",
): Promise<void> {
  const set =
    part === "actor"
      ? "actor_salt = null, actor_id = null, actor_name = '', address = null"
      : "target_salt = null, target_id = '', target_name = ''";
  await sql.unsafe(
    `update x3sproxy.audit_events set ${set} where id = (
       select event_id from x3sproxy.audit_leaves where workspace_id = $1 and leaf_index = $2)`,
    [workspaceId, index],
  );
}

/** Verifies an export in pieces of `pieceBytes`. */
export function verify(
  bytes: Uint8Array,
  options: VerifyOptions = {},
  pieceBytes = bytes.length,
): VerifyReport {
  const verifier = new ExportVerifier(options);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    if (!verifier.push(bytes.subarray(at, at + pieceBytes))) break;
  }
  return verifier.end();
}
