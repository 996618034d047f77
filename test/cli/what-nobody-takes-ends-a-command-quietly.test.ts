// Standard output that nobody reads, or that a full disk doesn't take: no stack trace, nothing that looks whole, exit status 1.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { inherited } from "../support/inherited.ts";
import { LAUNCHER, openCli } from "./fixture.ts";

const skip = process.platform !== "linux" && "needs /dev/full";

/** Runs a shell's `line`, in which `"$@"` is the command. */
async function runIn(
  line: string,
  args: readonly string[],
  environment: Record<string, string>,
): Promise<{ status: number | null; stderr: string }> {
  const child = spawn("sh", ["-c", line, "sh", process.execPath, LAUNCHER, ...args], {
    env: { ...inherited(), X3SPROXY_DATA_DIR: "/nowhere", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stdout.resume();
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const [status] = (await once(child, "close")) as [number | null];
  return { status, stderr };
}

/** A standard output whose reader has gone before anything is written. */
async function runUnread(
  args: readonly string[],
  environment: Record<string, string>,
): Promise<{ status: number | null; stderr: string }> {
  const child = spawn(process.execPath, [LAUNCHER, ...args], {
    env: { ...inherited(), X3SPROXY_DATA_DIR: "/nowhere", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.destroy();
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const [status] = (await once(child, "close")) as [number | null];
  return { status, stderr };
}

// One of each way in which something is printed.
const COMMANDS: readonly (readonly string[])[] = [
  ["--help"],
  ["agent", "list", "--json"],
  ["audit", "export"],
  ["master-key", "generate"],
];

it("what nobody takes ends a command quietly", { skip }, async (t) => {
  const { environment, json } = await openCli(t);
  await json(["agent", "deploy", "coder"]);
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-output-"));
  t.after(() => rm(folder, { recursive: true }));

  await t.test("a reader that has gone: not a word", async () => {
    for (const args of COMMANDS) {
      const ended = await runUnread(args, environment);
      assert.deepEqual({ args, ...ended }, { args, status: 1, stderr: "" });
    }
  });

  await t.test("a disk that is full: one line", async () => {
    for (const args of COMMANDS) {
      const { status, stderr } = await runIn('"$@" >/dev/full', args, environment);
      assert.equal(status, 1, args.join(" "));
      assert.match(stderr, /^x3sproxy: [^\n]*the disk is full \(ENOSPC\)[^\n]*\n$/);
    }
  });

  await t.test("a file that takes a part: one line", async () => {
    // Blocks of 512 or 1024 bytes.
    const line = `ulimit -f 1; "$@" >'${join(folder, "help")}'`;
    const { status, stderr } = await runIn(line, ["--help"], {});
    assert.equal(status, 1);
    assert.match(stderr, /^x3sproxy: [^\n]*EFBIG[^\n]*\n$/);
  });

  await t.test("an --output that takes a part: one line, and no file", async () => {
    const args = ["audit", "export", "--output", join(folder, "audit.jsonl")];
    const { status, stderr } = await runIn('ulimit -f 1; "$@"', args, environment);
    assert.equal(status, 1);
    assert.match(stderr, /^x3sproxy: [^\n]*can't be written \(EFBIG\)[^\n]*\n$/);
    assert.deepEqual(readdirSync(folder), ["help"]);
  });

  await t.test("standard error that nobody takes: only the status tells", async () => {
    const args = ["agent", "env", "nobody"];
    assert.deepEqual(await runIn('"$@" 2>/dev/full', args, environment), { status: 1, stderr: "" });
    const child = ["exec", "coder", "--", "sh", "-c", "exit 7"];
    const { status } = await runIn('"$@" 2>/dev/full', child, environment);
    assert.equal(status, 7, "the command that it was started for ran to its end");
  });
});
