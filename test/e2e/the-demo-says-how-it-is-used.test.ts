import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

const DEMO = fileURLToPath(new URL("../../demo/demo.ts", import.meta.url));

it("--help shows the options, and what is no option is wrong usage: nothing is started", () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [DEMO, ...args], { encoding: "utf8", timeout: 20_000 });
  const help = run("--help");
  assert.equal(help.status, 0);
  assert.match(help.stdout, /--keep.*--fill/s);
  for (const wrong of ["--bogus", "bogus", "--keep=1"]) {
    const { status, stdout, stderr } = run(wrong);
    assert.equal(status, 2, wrong);
    assert.equal(stdout, "");
    assert.match(stderr, /npm run demo/);
  }
});
