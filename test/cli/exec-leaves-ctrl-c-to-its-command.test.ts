// x3sproxy exec at a terminal.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { LAUNCHER, openCli } from "./fixture.ts";
import { inherited } from "../support/inherited.ts";

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
    env: { ...inherited(), TERM: "xterm", ...environment },
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
