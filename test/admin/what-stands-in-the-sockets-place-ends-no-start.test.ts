import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { removeStaleSocket } from "../../src/platform/admin-socket.ts";

it("what can't be removed from the socket's place ends no start", async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), "x3sproxy-socket-"));
  t.after(() => rm(dataDir, { recursive: true }));
  await mkdir(join(dataDir, "admin.sock"));
  await assert.doesNotReject(removeStaleSocket(dataDir));
});
