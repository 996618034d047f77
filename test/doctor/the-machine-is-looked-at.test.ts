import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { Findings } from "../../src/doctor/finding.ts";
import type { Examination } from "../../src/doctor/index.ts";
import { checkNode } from "../../src/doctor/machine.ts";
import { LAUNCHER, runCli } from "../cli/fixture.ts";
import { lookWith, saidOf } from "./fixture.ts";

const run = promisify(execFile);

describe("the machine is looked at", { concurrency: true }, () => {
  test("a disk that is nearly full, and one that has room", async (t) => {
    const disk = await mkdtemp(join(tmpdir(), "x3sproxy-disk-"));
    t.after(() => rm(disk, { recursive: true }));
    const mounted = await run("mount", [
      "-t",
      "tmpfs",
      "-o",
      "size=4m,mode=700",
      "none",
      disk,
    ]).then(
      () => true,
      () => false,
    );
    if (!mounted) {
      t.skip("this user can't mount");
      return;
    }
    try {
      const look = async (): Promise<string | undefined> =>
        saidOf(await lookWith({ X3SPROXY_DATA_DIR: disk }), "disk-space");
      assert.equal(await look(), "ok");
      await writeFile(join(disk, "filled"), Buffer.alloc(3.8 * 2 ** 20));
      assert.equal(await look(), "warning");
    } finally {
      await run("umount", [disk]);
    }
    const gone = await lookWith({ X3SPROXY_DATA_DIR: join(disk, "nothing") });
    assert.equal(saidOf(gone, "disk-space"), "skipped");
  });

  test("how many files a process may open", async () => {
    const look = async (limit: number): Promise<string | undefined> => {
      // The hard limit, too: Node takes as many as it may.
      const script = `ulimit -n ${limit} && exec "$0" "$@"`;
      const words = ["-c", script, process.execPath, LAUNCHER, "doctor", "--offline", "--json"];
      const child = spawn("sh", words, {
        env: { PATH: process.env["PATH"], X3SPROXY_DATA_DIR: "/nowhere" },
        stdio: ["ignore", "pipe", "ignore"],
      });
      const text = (await child.stdout.toArray()).join("");
      return saidOf(JSON.parse(text) as Examination, "open-files");
    };
    assert.deepEqual(await Promise.all([look(1024), look(8192)]), ["warning", "ok"]);
  });

  test("Node's version", () => {
    for (const [version, expected] of [
      ["22.20.1", "warning"],
      ["24.0.0", "ok"],
      ["26.10.0", "ok"],
    ] as const) {
      const findings = new Findings();
      checkNode(version, findings);
      assert.equal(findings.all[0]?.severity, expected);
    }
  });

  test("where nothing runs, it says so: critical, one JSON document, and what was not looked at", async () => {
    const { status, stdout } = await runCli(["doctor", "--json"]);
    assert.equal(status, 1);
    const examination = JSON.parse(stdout) as Examination;
    assert.equal(saidOf(examination, "database"), "critical");
    for (const id of ["second-factors", "role-rights", "notifications", "clock", "providers"]) {
      assert.equal(saidOf(examination, id), "skipped", id);
    }
  });

  test("settings that can't be read are one JSON document, too", async () => {
    const { status, stdout } = await runCli(["doctor", "--json"], {
      environment: { DATABASE_URL: "mysql://FAKE-user:FAKE-password@127.0.0.1/x" },
    });
    assert.equal(status, 1);
    assert.partialDeepStrictEqual(JSON.parse(stdout), { error: { code: "failed" } });
    assert.ok(!stdout.includes("FAKE"));
  });
});
