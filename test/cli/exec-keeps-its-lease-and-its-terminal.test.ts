// x3sproxy exec while things go on around it: Ctrl-C at a terminal, and a service that is away for a while.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { eventually } from "../support/eventually.ts";
import { createTcpGate } from "../support/tcp-gate.ts";
import { LAUNCHER, openCli } from "./fixture.ts";

// script(1) of util-linux gives a command a terminal.
const skip = !String(spawnSync("script", ["--version"]).stdout).includes("util-linux");

it("Ctrl-C at a terminal is the command's, which may outlive it", { skip }, async (t) => {
  const { environment, json, owner } = await openCli(t);
  await json(["agent", "deploy", "coder"]);
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-terminal-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const program = join(folder, "program.mjs");
  // Time for a second signal to come before it counts.
  await writeFile(
    program,
    `let count = 0;
    process.on("SIGINT", () => { if (++count === 1) setTimeout(() => process.exit(10 + count), 1000); });
    setInterval(() => undefined, 1000);
    console.log("ready");`,
  );
  const command = [process.execPath, LAUNCHER, "exec", "coder", "--", process.execPath, program]
    .map((word) => `'${word}'`)
    .join(" ");
  // In the shell's place: the shell would end by Ctrl-C.
  const args = ["--quiet", "--return", "--command", `exec ${command}`, "/dev/null"];
  const child = spawn("script", args, {
    env: { PATH: process.env["PATH"], TERM: "xterm", ...environment },
  });
  let screen = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    screen += text;
    if (text.includes("ready")) child.stdin.write("\x03");
  });
  const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
  assert.equal(status, 11, screen);
  const left = await owner`select from x3sproxy.proxy_tokens where kind = 'lease'`;
  assert.equal(left.length, 0);
});

it(
  "while the service is away it warns once and tries on; the lease lives when it is back in time",
  { timeout: 120_000 },
  async (t) => {
    const { url, environment, json, owner } = await openCli(t);
    await json(["agent", "deploy", "coder"]);
    const gate = await createTcpGate(url);
    t.after(() => gate.close());
    const child = spawn(
      process.execPath,
      [
        LAUNCHER,
        "exec",
        "coder",
        "--",
        process.execPath,
        "-e",
        "console.log(1); setInterval(() => undefined, 1000)",
      ],
      {
        env: {
          PATH: process.env["PATH"],
          ...environment,
          X3SPROXY_ADMIN_URL: gate.url.replace(/\/$/, ""),
        },
        detached: true,
      },
    );
    t.after(() => {
      // Its command, too, which would keep our pipes open.
      if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    });
    const output = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk: Buffer) => (output.stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output.stderr += chunk.toString()));
    await eventually(() => output.stdout !== "");
    const end = async () => {
      const [lease] = await owner<{ expires_at: Date }[]>`
        select expires_at from x3sproxy.proxy_tokens where kind = 'lease'`;
      return lease?.expires_at.getTime() ?? 0;
    };
    const first = await end();
    await gate.set("refuse");
    const failed = gate.accepted;
    await eventually(() => output.stderr.includes("can't be renewed"), 45_000);
    await gate.set("open");
    await eventually(async () => (await end()) > first, 15_000);
    assert.ok(gate.accepted > failed);
    assert.equal(output.stderr.match(/can't be renewed/g)?.length, 1, output.stderr);
    child.kill("SIGTERM");
    await eventually(() => child.exitCode === 143);
    assert.equal(await end(), 0);
  },
);
