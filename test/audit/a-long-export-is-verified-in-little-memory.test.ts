import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import test from "node:test";
import { formatLine, type ExportLine } from "../../src/audit/export-lines.ts";
import { actorCommitment, leafData, targetCommitment } from "../../src/audit/leaf.ts";
import { GrowingTree, leafHash } from "../../src/audit/merkle.ts";
import { originOfExports, originOfLog, signCheckpoint, verifierKey } from "../../src/audit/note.ts";
import { runCli } from "../cli/fixture.ts";

const EVENTS = 100_000;
// What the command line takes with an export of a few lines is some 20 MB.
const HEAP_MB = 36;
const workspace = "00000000-0000-4000-8000-000000000001";

/** An export as the service writes it, of events that are all alike. */
function* exportOf(count: number): Generator<Buffer> {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const signer = {
    publicKey: publicKey.export({ format: "der", type: "spki" }).subarray(-32),
    sign: (message: Uint8Array) => sign(null, message, privateKey),
  };
  const origin = originOfLog(workspace);
  const hash = createHash("sha256");
  let lines = 0;
  const bytesOf = (line: ExportLine): Buffer => {
    const bytes = Buffer.from(`${formatLine(line)}\n`);
    hash.update(bytes);
    lines += 1;
    return bytes;
  };
  const at = "2026-11-25T19:02:56.123456Z";
  const key = verifierKey(origin, signer.publicKey);
  yield bytesOf({
    ...{ type: "x3sproxy-audit-export", workspace, origin, verifierKey: key, filters: {}, at },
  });
  const salt = workspace;
  const actor = { salt, id: workspace, name: "ada@example.com", address: "192.0.2.7" };
  const target = { salt, id: workspace, name: "openai/production" };
  const commitments = { actor: actorCommitment(actor), target: targetCommitment(target) };
  const tree = new GrowingTree();
  for (let index = 0; index < count; index += 1) {
    const id = String(index + 1);
    const event = {
      ...{ at, actorKind: "user", method: "session", action: "secret.set", targetKind: "secret" },
      ...{ beforeHash: null, afterHash: null, result: "done", detail: null },
    };
    const leaf = leafHash(leafData({ ...event, id, workspaceId: workspace }, commitments));
    tree.append(leaf);
    yield bytesOf({
      ...{ type: "event", index, id, event, erased: [], leafHash: leaf.toString("hex") },
      actor: { ...actor, commitment: commitments.actor },
      target: { ...target, commitment: commitments.target },
    });
  }
  const note = signCheckpoint({ origin, size: tree.size, root: tree.root() }, signer);
  yield bytesOf({ type: "checkpoint", note });
  const closing = { origin: originOfExports(workspace), size: lines, root: hash.digest() };
  yield Buffer.from(`${formatLine({ type: "end", note: signCheckpoint(closing, signer) })}\n`);
}

test("an export of many times the memory is verified", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-long-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, "audit.jsonl");
  await pipeline(Readable.from(exportOf(EVENTS)), createWriteStream(file));
  const environment = { NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}` };
  const { status, stdout, stderr } = await runCli(["audit", "verify", file, "--json"], {
    environment,
  });
  assert.equal(status, 0, stderr.slice(-1000));
  assert.partialDeepStrictEqual(JSON.parse(stdout), { verified: true, events: EVENTS });
});
