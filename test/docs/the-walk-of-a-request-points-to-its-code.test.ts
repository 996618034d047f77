// docs/architecture.md walks one request through the code by file and line. `node test/docs/the-walk-of-a-request-points-to-its-code.test.ts
// --write` puts the lines right.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";

const ROOT = new URL("../../", import.meta.url);
const PAGE = new URL("docs/architecture.md", ROOT);
const STEP = /^(\| .* \| `(\w+)` \| )(src\/[\w/-]+\.ts):(\d+)( \|.*)$/gm;

function lineOf(file: string, name: string): number {
  const lines = readFileSync(new URL(file, ROOT), "utf8").split("\n");
  const declares = new RegExp(`^ *(?:(?:export|async|protected) )*(?:function )?${name}\\(`);
  // The last one: an interface may declare it before.
  return 1 + lines.findLastIndex((line) => declares.test(line) && /[{(]$/.test(line));
}

function corrected(page: string): string {
  return page.replace(
    STEP,
    (_, before: string, name: string, file: string, _line, after: string) => {
      return `${before}${file}:${lineOf(file, name)}${after}`;
    },
  );
}

if (process.argv.includes("--write")) {
  writeFileSync(PAGE, corrected(readFileSync(PAGE, "utf8")));
} else {
  test("each step of the walk names the line where it stands", () => {
    const page = readFileSync(PAGE, "utf8");
    const steps = [...page.matchAll(STEP)];
    assert.ok(steps.length >= 12, `${steps.length} steps`);
    for (const [, , name = "", file = "", line = ""] of steps) {
      assert.ok(lineOf(file, name) > 0, `${name} is in ${file}`);
      assert.equal(Number(line), lineOf(file, name), `${name} in ${file}`);
    }
  });
}
