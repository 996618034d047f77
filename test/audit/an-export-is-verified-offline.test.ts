import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test, { after, before } from "node:test";
import { actorOf, openSealedLog, verify } from "./sealed-log.ts";

let log: Awaited<ReturnType<typeof openSealedLog>>;
before(async () => {
  log = await openSealedLog();
});
after(() => log.close());

test("all of a log is exported and verifies, in whatever pieces it comes", async () => {
  const workspaceId = randomUUID();
  await log.makeEvents(workspaceId, 700);
  const bytes = await log.exportOf(workspaceId);
  for (const piece of [bytes.length, 1000, 7]) {
    const report = verify(bytes, { key: log.keyOf(workspaceId) }, piece);
    assert.deepEqual(report.findings, []);
    assert.partialDeepStrictEqual(report, {
      ...{ verified: true, size: 701, events: 701, pruned: 0, erased: 0, warnings: [] },
    });
  }
  const lines = bytes.toString("utf8").split("\n");
  assert.equal(lines.length, 1 + 701 + 2 + 1);
  assert.partialDeepStrictEqual(JSON.parse(lines[701] ?? ""), {
    ...{ type: "event", index: 700, action: "audit.export", result: "done" },
    ...{ detail: '{"filters":"","format":"jsonl"}', actor: { name: "ada@example.com" } },
  });
});

test("with filters each event comes with a proof of its own", async () => {
  const workspaceId = randomUUID();
  await log.makeEvents(workspaceId, 600);
  const bytes = await log.exportOf(workspaceId, { action: "agent.deploy", actor: "=cmd()" });
  const report = verify(bytes, { key: log.keyOf(workspaceId) });
  assert.deepEqual(report.findings, []);
  assert.partialDeepStrictEqual(report, {
    ...{ verified: true, size: 601, events: 100 },
    filters: { action: "agent.deploy", actor: "=cmd()" },
  });
  assert.match(report.warnings.join(), /has filters/);
  const none = verify(await log.exportOf(workspaceId, { actor: "nobody" }));
  assert.equal(none.verified, true);
  assert.equal(none.events, 0);
});

test("what was pruned reads pruned, what was erased reads erased, and both verify", async () => {
  const workspaceId = randomUUID();
  await log.makeEvents(workspaceId, 40);
  await log.erase(workspaceId, [
    [2, "actor"],
    [30, "actor"],
    [30, "target"],
    [31, "target"],
  ]);
  await log.prune(workspaceId, 5);
  await log.makeEvents(workspaceId, 3);
  await log.prune(workspaceId, 20);
  const report = verify(await log.exportOf(workspaceId), { key: log.keyOf(workspaceId) });
  assert.deepEqual(report.findings, []);
  assert.partialDeepStrictEqual(report, {
    ...{ verified: true, size: 47, events: 27, pruned: 20, erased: 3 },
    prunings: [{ before: 5 }, { before: 20 }],
    erasures: [{ parts: 4, index: 40 }],
  });
  // The erasure goes the same way as what it took, and so does the first pruning.
  await log.prune(workspaceId, 43);
  const later = verify(await log.exportOf(workspaceId));
  assert.deepEqual(later.findings, []);
  assert.partialDeepStrictEqual(later, { pruned: 43, erased: 0, prunings: [{ before: 43 }] });
});

test("a pruning while an export is under way is in it, with what it took", async () => {
  const workspaceId = randomUUID();
  await log.makeEvents(workspaceId, 1200);
  const { bytes } = await log.proofs.export(actorOf(workspaceId), "jsonl", {});
  const pieces: Buffer[] = [];
  for await (const piece of bytes) {
    pieces.push(piece);
    if (pieces.length === 2) await log.prune(workspaceId, 1100);
  }
  const report = verify(Buffer.concat(pieces));
  assert.deepEqual(report.findings, []);
  assert.partialDeepStrictEqual(report, { size: 1202, prunings: [{ before: 1100 }] });
  assert.ok(report.pruned > 0 && report.pruned < 1100, String(report.pruned));
});

test("an export of what is erased meanwhile has no end", async () => {
  const workspaceId = randomUUID();
  await log.makeEvents(workspaceId, 1200);
  const { bytes } = await log.proofs.export(actorOf(workspaceId), "jsonl", {});
  const pieces: Buffer[] = [];
  await assert.rejects(
    async () => {
      for await (const piece of bytes) {
        pieces.push(piece);
        if (pieces.length === 2) {
          await log.erase(workspaceId, [
            [1, "actor"],
            [1150, "actor"],
          ]);
        }
      }
    },
    { name: "ExportOutdatedError" },
  );
  const { findings } = verify(Buffer.concat(pieces));
  assert.ok(findings.some(({ what }) => what.includes("cut off")));
});

test("an export during which an erasure is pruned, whose parts it has in it already, has no end", async () => {
  const workspaceId = randomUUID();
  await log.makeEvents(workspaceId, 1100);
  await log.erase(workspaceId, [[1, "actor"]]);
  const { bytes } = await log.proofs.export(actorOf(workspaceId), "jsonl", {});
  const pieces: Buffer[] = [];
  await assert.rejects(
    async () => {
      for await (const piece of bytes) {
        pieces.push(piece);
        if (pieces.length === 2) await log.prune(workspaceId, 1101);
      }
    },
    { name: "ExportOutdatedError" },
  );
  const again = verify(await log.exportOf(workspaceId));
  assert.deepEqual(again.findings, []);
  assert.equal(again.pruned, 1101);
  // An erasure that somebody took away by force is no such thing: it is shown as it is.
  await log.makeEvents(workspaceId, 3);
  await log.erase(workspaceId, [[1102, "actor"]]);
  await log.owner(
    (sql) =>
      sql`delete from x3sproxy.audit_events where workspace_id = ${workspaceId} and action = 'audit.erase'`,
  );
  const { findings } = verify(await log.exportOf(workspaceId));
  assert.match(findings.map(({ what }) => what).join(), /which isn't an erasure of this log/);
});

test("checkpoints that were kept elsewhere are compared, each at its size", async () => {
  const workspaceId = randomUUID();
  const notes: string[] = [];
  for (const count of [1, 5, 300]) {
    await log.makeEvents(workspaceId, count);
    notes.push((await log.proofs.checkpoint(workspaceId)).checkpoint ?? "");
  }
  const key = log.keyOf(workspaceId);
  const bytes = await log.exportOf(workspaceId);
  const given = (list: readonly string[]) => list.map((note) => ({ where: "a file", note }));
  const report = verify(bytes, { key, checkpoints: given(notes) });
  assert.deepEqual(report.findings, []);
  assert.equal(report.checkpoints, 3);

  const another = randomUUID();
  await log.makeEvents(another, 2);
  const foreign = (await log.proofs.checkpoint(another)).checkpoint ?? "";
  assert.equal(verify(bytes, { key, checkpoints: given([...notes, foreign]) }).checkpoints, 3);
  assert.match(
    verify(bytes, { key, checkpoints: given([foreign]) }).findings[0]?.what ?? "",
    /none of the checkpoints that were given is one of this log/,
  );
});
