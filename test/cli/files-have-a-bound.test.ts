import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { appendFile, mkdtemp, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { openSealedLog } from "../audit/sealed-log.ts";
import { runCli } from "./fixture.ts";

const TWO_MEGABYTES = 2 * 1024 * 1024;
// More than a text of JavaScript's can have.
const LONG_LINE = 600 * 1024 * 1024;

test("a file that is far too long, or never ends, is refused in a sentence", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-long-"));
  t.after(() => rm(folder, { recursive: true }));
  const long = join(folder, "long");
  await writeFile(long, "");
  await truncate(long, TWO_MEGABYTES);
  for (const file of [long, "/dev/zero"]) {
    for (const [args, environment, name] of [
      [["restore", "x.age", "--identity", file], {}, "--identity"],
      [["migrate"], { DATABASE_URL_FILE: file }, "DATABASE_URL_FILE"],
      [
        ["serve"],
        { X3SPROXY_TLS_CERT_FILE: file, X3SPROXY_TLS_KEY_FILE: file },
        "X3SPROXY_TLS_CERT_FILE",
      ],
    ] as const) {
      const { status, stderr } = await runCli(args, {
        environment: { X3SPROXY_DATA_DIR: folder, DATABASE_URL: "", ...environment },
      });
      assert.equal(status, 1, stderr);
      assert.match(stderr, new RegExp(`^x3sproxy: ${name}: .*\\(EFBIG\\)\\.?\n$`), args.join(" "));
    }
  }
});

test("a device is no file of checkpoints", { timeout: 60_000 }, async (t) => {
  const log = await openSealedLog();
  t.after(() => log.close());
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-device-"));
  t.after(() => rm(folder, { recursive: true }));
  const workspaceId = randomUUID();
  await log.makeEvents(workspaceId, 3);
  const exported = join(folder, "audit.jsonl");
  await writeFile(exported, await log.exportOf(workspaceId));
  for (const device of ["/dev/zero", "/dev/urandom"]) {
    const args = ["audit", "verify", exported, "--checkpoint", device];
    const { status, stderr } = await runCli(args);
    assert.equal(status, 1, stderr);
    assert.match(stderr, /is a device, and may never end/);
  }
  // A pipe is none: a shell makes one of another command's output.
  const { checkpoint } = await log.proofs.checkpoint(workspaceId);
  const pipe = join(folder, "checkpoints");
  execFileSync("mkfifo", [pipe]);
  const [{ status, stderr }] = await Promise.all([
    runCli(["audit", "verify", exported, "--checkpoint", pipe]),
    writeFile(pipe, checkpoint ?? ""),
  ]);
  assert.equal(status, 0, stderr);
});

test("a line without end among kept checkpoints hides none of them", async (t) => {
  const log = await openSealedLog();
  t.after(() => log.close());
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-line-"));
  t.after(() => rm(folder, { recursive: true }));
  const workspaceId = randomUUID();
  await log.makeEvents(workspaceId, 3);
  const { checkpoint } = await log.proofs.checkpoint(workspaceId);
  const [exported, kept] = [join(folder, "audit.jsonl"), join(folder, "checkpoints")];
  await writeFile(exported, await log.exportOf(workspaceId));
  await writeFile(kept, "");
  await truncate(kept, LONG_LINE);
  await appendFile(kept, `\n${checkpoint ?? ""}`);
  assert.ok((await stat(kept)).blocks < 10_000, "a hole, and no space on the disk");
  const args = ["audit", "verify", exported, "--checkpoint", kept, "--json"];
  const { status, stdout, stderr } = await runCli(args);
  assert.equal(status, 0, stderr);
  const report = JSON.parse(stdout) as { checkpoints: number; warnings: string[] };
  assert.equal(report.checkpoints, 1);
  assert.ok(
    report.warnings.some((each) => each.includes("1 lines of")),
    stdout,
  );
});

test("the log can be in a data folder that isn't there yet", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-log-"));
  t.after(() => rm(folder, { recursive: true }));
  const dataDir = join(folder, "data");
  const logFile = join(dataDir, "log", "service.log");
  const { status, stderr } = await runCli(["serve"], {
    environment: {
      X3SPROXY_DATA_DIR: dataDir,
      X3SPROXY_LOG_FILE: logFile,
      // Nobody listens there: as far as this the start comes without a log file that fails.
      DATABASE_URL: "postgres://nobody@127.0.0.1:1/none",
    },
  });
  assert.equal(status, 1);
  assert.doesNotMatch(stderr, /X3SPROXY_LOG_FILE/);
  assert.equal((await stat(logFile)).mode & 0o777, 0o600);
  assert.equal((await stat(dataDir)).mode & 0o777, 0o700);
});
