import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import test, { after, before } from "node:test";
import { leafData } from "../../src/audit/leaf.ts";
import { readLine } from "../../src/audit/export-line-reading.ts";
import { formatLine, type EventLine, type ExportLine } from "../../src/audit/export-lines.ts";
import { GrowingTree, leafHash } from "../../src/audit/merkle.ts";
import {
  originOfExports,
  originOfLog,
  signCheckpoint,
  verifierKey,
  type LogSigner,
} from "../../src/audit/note.ts";
import { NotAnExportError, type VerifyOptions } from "../../src/audit/verify.ts";
import { openSealedLog, verify } from "../audit/sealed-log.ts";

let log: Awaited<ReturnType<typeof openSealedLog>>;
const workspaceId = randomUUID();
let whole: Buffer;
let filtered: Buffer;
let key: string;
before(async () => {
  log = await openSealedLog();
  key = log.keyOf(workspaceId);
  await log.makeEvents(workspaceId, 2);
  await log.erase(workspaceId, [[1, "actor"]]);
  await log.prune(workspaceId, 1);
  whole = await log.exportOf(workspaceId);
  filtered = await log.exportOf(workspaceId, { action: "agent.deploy" });
  for (const bytes of [whole, filtered]) assert.deepEqual(verify(bytes, { key }).findings, []);
});
after(() => log.close());

/** Whether it passes. */
function passes(bytes: Uint8Array, options: VerifyOptions = {}): boolean {
  try {
    return verify(bytes, options).verified;
  } catch (error) {
    if (error instanceof NotAnExportError) return false;
    throw error;
  }
}

function linesOf(bytes: Buffer): string[] {
  return bytes.toString("utf8").split("\n").slice(0, -1);
}

function bytesOf(lines: readonly string[]): Buffer {
  return Buffer.from(lines.map((line) => `${line}\n`).join(""), "utf8");
}

test("no bit of a whole log's export can be another, with its own key alone", () => {
  const types = new Set(linesOf(whole).map((line) => readLine(line).type));
  assert.deepEqual(
    [...types],
    ["x3sproxy-audit-export", "pruned", "event", "checkpoint", "end"],
    "a line of each type is in it",
  );
  for (let i = 0; i < whole.length; i += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      whole[i] = (whole[i] ?? 0) ^ (1 << bit);
      const passed = passes(whole);
      whole[i] = (whole[i] ?? 0) ^ (1 << bit);
      assert.ok(!passed, `bit ${bit} of byte ${i}: ${whole.subarray(i - 20, i + 20).toString()}`);
    }
  }
});

test("no byte of an export with filters can be another", () => {
  for (let i = 0; i < filtered.length; i += 1) {
    const bit = 1 << (i % 7);
    filtered[i] = (filtered[i] ?? 0) ^ bit;
    const passed = passes(filtered);
    filtered[i] = (filtered[i] ?? 0) ^ bit;
    assert.ok(!passed, `byte ${i}`);
  }
});

test("no line can be taken away, doubled, swapped or come after the end, and no byte be cut off", () => {
  for (const bytes of [whole, filtered]) {
    const lines = linesOf(bytes);
    for (let i = 0; i < lines.length; i += 1) {
      assert.ok(!passes(bytesOf(lines.toSpliced(i, 1))), `without line ${i}`);
      assert.ok(!passes(bytesOf(lines.toSpliced(i, 0, lines[i] ?? ""))), `line ${i} twice`);
      assert.ok(!passes(bytesOf([...lines, lines[i] ?? ""])), `line ${i} again at the end`);
      assert.ok(!passes(bytesOf(lines.slice(0, i))), `only ${i} lines`);
      for (let j = i + 1; j < lines.length; j += 1) {
        const swapped = lines.with(i, lines[j] ?? "").with(j, lines[i] ?? "");
        assert.ok(!passes(bytesOf(swapped)), `lines ${i} and ${j} swapped`);
      }
    }
    for (let length = 0; length < bytes.length; length += 1) {
      assert.ok(!passes(bytes.subarray(0, length)), `${length} bytes of ${bytes.length}`);
    }
    assert.ok(!passes(Buffer.concat([bytes, Buffer.from("\n")])));
    assert.ok(!passes(Buffer.concat([bytes, bytes])));
  }
});

// ---- whoever signs anew what they have edited ----

function newSigner(): LogSigner {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  return {
    publicKey: publicKey.export({ format: "der", type: "spki" }).subarray(-32),
    sign: (message) => sign(null, message, privateKey),
  };
}

/** The export with other leaves, put together and signed as the service would. */
function resigned(
  edit: (leaves: EventLine[]) => EventLine[],
  signer: LogSigner,
  edited = whole,
): Buffer {
  const [header, ...rest] = linesOf(edited).map(readLine);
  assert.ok(header?.type === "x3sproxy-audit-export");
  const { workspace } = header;
  const leaves = edit(rest.filter((line) => line.type === "event")).map((line, index) => {
    const commitments = { actor: line.actor.commitment, target: line.target.commitment };
    const data = leafData({ ...line.event, id: line.id, workspaceId: workspace }, commitments);
    return { ...line, index, leafHash: leafHash(data).toString("hex") };
  });
  const tree = new GrowingTree();
  for (const leaf of leaves) tree.append(Buffer.from(leaf.leafHash, "hex"));
  const origin = originOfLog(workspace);
  const lines: ExportLine[] = [
    { ...header, verifierKey: verifierKey(origin, signer.publicKey) },
    ...leaves,
    {
      type: "checkpoint",
      note: signCheckpoint({ origin, size: tree.size, root: tree.root() }, signer),
    },
  ];
  const text = bytesOf(lines.map(formatLine));
  const root = createHash("sha256").update(text).digest();
  const closing = { origin: originOfExports(workspace), size: lines.length, root };
  return Buffer.concat([
    text,
    bytesOf([formatLine({ type: "end", note: signCheckpoint(closing, signer) })]),
  ]);
}

async function logOf(count: number) {
  const id = randomUUID();
  await log.makeEvents(id, count);
  const { checkpoint } = await log.proofs.checkpoint(id);
  const bytes = await log.exportOf(id);
  return { id, bytes, checkpoints: [{ where: "a safe place", note: checkpoint ?? "" }] };
}

test("a log signed anew by another key passes by itself, and not beside the key or a checkpoint that was kept", async () => {
  const { id, bytes, checkpoints } = await logOf(4);
  const forged = resigned((leaves) => leaves.slice(1), newSigner(), bytes);
  assert.ok(passes(forged), "by itself it is a log like any other");
  assert.match(verify(forged).warnings[0] ?? "", /Give the key that you keep/);
  assert.ok(!passes(forged, { key: log.keyOf(id) }));
  assert.ok(!passes(forged, { checkpoints }));
});

test("with the service's own key: a rewritten, a shorter and a forked log are found by a checkpoint kept elsewhere", async () => {
  const { id, bytes, checkpoints } = await logOf(4);
  const options = { key: log.keyOf(id), checkpoints };
  assert.ok(passes(bytes, options));
  const forgeries: Record<string, (leaves: EventLine[]) => EventLine[]> = {
    "an event less": (leaves) => leaves.slice(1),
    "one at the end less": (leaves) => leaves.slice(0, 3),
    "the order of two": ([a, b, ...rest]) => (a && b ? [b, a, ...rest] : []),
    "another result": ([first, ...rest]) =>
      first ? [{ ...first, event: { ...first.event, result: "refused" } }, ...rest] : [],
  };
  for (const [name, edit] of Object.entries(forgeries)) {
    const forged = resigned(edit, log.signer, bytes);
    assert.ok(passes(forged, { key: options.key }), `${name}: signed as it should be`);
    assert.ok(!passes(forged, options), name);
  }
  // Two continuations of one checkpoint: each has its own next one, which the other isn't consistent with.
  const fork = resigned(
    (leaves) => leaves.with(4, { ...leaves[3], index: 4 } as EventLine),
    log.signer,
    bytes,
  );
  assert.ok(passes(fork, options), "begins with the checkpoint, as the true one does");
  const later = readLine(linesOf(bytes).at(-2) ?? "");
  assert.ok(later.type === "checkpoint");
  const both = { ...options, checkpoints: [...checkpoints, { where: "later", note: later.note }] };
  assert.ok(passes(bytes, both));
  assert.ok(!passes(fork, both));
});

test("another workspace's export isn't this one's", async () => {
  const [mine, other] = [await logOf(2), await logOf(2)];
  assert.ok(passes(other.bytes));
  assert.ok(!passes(other.bytes, { key: log.keyOf(mine.id) }));
  assert.ok(!passes(other.bytes, { checkpoints: mine.checkpoints }));
  // The one's events under the other's head.
  const lines = linesOf(mine.bytes);
  const mixed = [linesOf(other.bytes)[0] ?? "", ...lines.slice(1)];
  assert.ok(!passes(bytesOf(mixed)));
});

test("what is no export, or more than one can be, is refused in words", () => {
  const event = linesOf(whole).find((line) => line.includes('"type":"event"')) ?? "";
  const at = linesOf(whole).indexOf(event);
  const withLine = (line: string | Buffer): Buffer => {
    const [head, tail] = [linesOf(whole).slice(0, at), linesOf(whole).slice(at + 1)];
    return Buffer.concat([bytesOf(head), Buffer.from(line), Buffer.from("\n"), bytesOf(tail)]);
  };
  assert.ok(passes(withLine(event)));
  const bad: Record<string, string | Buffer> = {
    "a field more": event.replace('"method"', '"note":"hello","method"'),
    "a field twice": event.replace('"method"', '"result":"done","method"'),
    "a field twice, the same": event.replace('"result":"done"', '"result":"done","result":"done"'),
    "another order": event.replace(/^\{"type":"event",("index":\d+),/, '{$1,"type":"event",'),
    "a space": event.replace(":", ": "),
    "an escape": event.replace('"done"', '"\\u0064one"'),
    "another number": event.replace(/"index":(\d+)/, '"index":$1.0'),
    "a proto": event.replace('"method"', '"__proto__":{},"method"'),
    "no JSON": "{",
    "an array": "[]",
    null: "null",
    "an unknown type": '{"type":"comment","what":"x"}',
    "an empty line": "",
    "invalid UTF-8": Buffer.from([0x22, 0xff, 0x22]),
    "a carriage return": `${event}\r`,
    "a long line": `"${"x".repeat(100_000)}"`,
  };
  for (const [name, line] of Object.entries(bad)) {
    const report = verify(withLine(line));
    assert.ok(!report.verified, name);
    assert.match(report.findings.at(-1)?.what ?? "", /the line can't be read/, name);
  }
  for (const text of ["", "\n", "x", "{}\n", "index,state\r\n", `${event}\n`]) {
    assert.throws(() => verify(Buffer.from(text)), NotAnExportError, text);
  }
  const endless = Buffer.alloc(1_000_000, "x");
  assert.throws(() => verify(endless, {}, 10_000), NotAnExportError);
});

test("what the events say about prunings and erasures is held against what is gone", async () => {
  const id = randomUUID();
  await log.makeEvents(id, 2);
  await log.erase(id, [[1, "actor"]]);
  await log.prune(id, 0);
  const bytes = await log.exportOf(id);
  const found = (edit: (leaves: EventLine[]) => EventLine[]): string =>
    verify(resigned(edit, log.signer, bytes))
      .findings.map(({ what }) => what)
      .join("; ");
  assert.equal(
    found((leaves) => leaves),
    "",
  );
  const detailed = (action: string, detail: string | null) =>
    found((leaves) => leaves.map((leaf) => withDetail(leaf, action, detail)));
  assert.match(detailed("audit.prune", '{"before":1000}'), /it took what came after it/);
  assert.match(detailed("audit.prune", null), /doesn't say what it took/);
  assert.match(detailed("audit.erase", '{"parts":1,"list":"00"}'), /the list of what an erasure/);
  assert.match(
    found((leaves) => leaves.map((leaf) => ({ ...leaf, erased: [] }))),
    /no erasure took it; the list of what an erasure/,
  );
  assert.match(
    found((leaves) =>
      leaves.map((leaf) => ({
        ...leaf,
        erased: leaf.erased.map((it) => ({ ...it, by: "999999" })),
      })),
    ),
    /event 999999, which isn't an erasure of this log/,
  );
});

function withDetail(line: EventLine, action: string, detail: string | null): EventLine {
  return line.event.action === action ? { ...line, event: { ...line.event, detail } } : line;
}
