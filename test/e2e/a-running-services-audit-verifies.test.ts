import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService } from "../support/service.ts";

it("what a service did over two starts verifies against the checkpoints that it sent out", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-kept-"));
  const database = await createTestDatabase();
  const kept = join(folder, "checkpoints");
  const env = { X3SPROXY_CHECKPOINT_FILE: kept, X3SPROXY_CHECKPOINT_INTERVAL: "1s" };
  const first = await runService({ database, env });
  t.after(async () => {
    await first.remove();
    await database.drop();
    await rm(folder, { recursive: true });
  });
  await first.deploy("coder");
  await eventually(async () => (await readFile(kept, "utf8").catch(() => "")) !== "");
  await first.deploy("writer");
  assert.equal(await first.stop(), 0);
  const sent = await readFile(kept, "utf8");

  const second = await runService({ database, env, apiKey: first.apiKey });
  t.after(() => second.remove());
  const { verifierKey } = await second.cliJson(["audit", "checkpoint"]);
  const report = await second.cliJson([
    ...["audit", "verify", "--checkpoint", kept, "--key", String(verifierKey)],
  ]);
  assert.partialDeepStrictEqual(report, { verified: true, keyPinned: true, pruned: 0 });
  assert.ok(Number(report["checkpoints"]) >= 2, sent);
  assert.ok(Number(report["events"]) >= 3);
  assert.doesNotMatch(second.output.stdout, /can't be (sent|sealed)/);
});
