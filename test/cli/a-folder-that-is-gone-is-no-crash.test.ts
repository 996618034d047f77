// The shell's own folder was removed, or made anew, meanwhile.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { promisify } from "node:util";
import { inherited } from "../support/inherited.ts";
import { LAUNCHER } from "./fixture.ts";

it("a command in a folder that is gone says what is wrong", async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), "x3sproxy-gone-"));
  t.after(() => rm(dataDir, { recursive: true, force: true }));
  const key = "x3skey_FAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKE";
  await writeFile(join(dataDir, "admin-api-key"), key, { mode: 0o600 });
  await mkdir(join(dataDir, "gone"));
  const line = 'cd "$1" && rmdir "$1" && exec "$2" "$3" agent list';
  const args = ["-c", line, "sh", join(dataDir, "gone"), process.execPath, LAUNCHER];
  const run = promisify(execFile)("sh", args, {
    env: { ...inherited(), X3SPROXY_DATA_DIR: dataDir },
  });
  await assert.rejects(run, (error: { code: number; stderr: string }) => {
    assert.equal(error.code, 1);
    assert.match(error.stderr, /^x3sproxy: The service of .* does not answer\./);
    assert.doesNotMatch(error.stderr, /^ +at /m);
    return true;
  });
});
