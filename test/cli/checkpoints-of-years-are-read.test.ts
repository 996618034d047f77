import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { openSealedLog } from "../audit/sealed-log.ts";
import { runCli } from "./fixture.ts";

test("an export is verified beside a file of 150,000 checkpoints", async (t) => {
  const log = await openSealedLog();
  t.after(() => log.close());
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-years-"));
  t.after(() => rm(folder, { recursive: true }));
  const workspaceId = randomUUID();
  await log.makeEvents(workspaceId, 3);
  const { checkpoint } = await log.proofs.checkpoint(workspaceId);
  const [exported, kept] = [join(folder, "audit.jsonl"), join(folder, "checkpoints")];
  await writeFile(exported, await log.exportOf(workspaceId));
  // Those of another workspace's log, which need not be signed to be passed over.
  const other = `x3sproxy/audit/${randomUUID()}`;
  const [root, signature] = [Buffer.alloc(32), Buffer.alloc(68)].map((it) => it.toString("base64"));
  const others = Array.from(
    { length: 150_000 },
    (_, i) => `\n${other}\n${i + 1}\n${root ?? ""}\n\n— ${other} ${signature ?? ""}\n`,
  );
  await writeFile(kept, `${others.join("")}\n${checkpoint ?? ""}`);
  const args = ["audit", "verify", exported, "--checkpoint", kept, "--json"];
  const { status, stdout, stderr } = await runCli(args);
  assert.equal(status, 0, stderr.slice(-500));
  assert.equal((JSON.parse(stdout) as { checkpoints: number }).checkpoints, 1);
});
