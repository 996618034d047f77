// Each test whose inputs are generated, with many more of them, and others each time.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { TIMES_VARIABLE } from "../support/generated.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const TIMES = 10;
const FILE_WITHIN_MS = 10 * 60_000;

const files = globSync("test/**/*.test.ts", { cwd: ROOT }).filter((file) =>
  readFileSync(`${ROOT}/${file}`, "utf8").includes("support/generated.ts"),
);

test("there are such tests", () => assert.ok(files.length > 10, String(files.length)));

for (const file of files) {
  test(file, { timeout: FILE_WITHIN_MS }, async () => {
    // NODE_TEST_CONTEXT would make it a part of this one.
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => name !== "NODE_TEST_CONTEXT"),
    );
    const child = spawn(process.execPath, ["--test", `--test-timeout=${FILE_WITHIN_MS}`, file], {
      cwd: ROOT,
      env: { ...env, [TIMES_VARIABLE]: String(TIMES) },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [output, [status]] = await Promise.all([
      child.stdout.toArray() as Promise<Buffer[]>,
      once(child, "exit") as Promise<[number | null]>,
    ]);
    assert.equal(status, 0, Buffer.concat(output).toString().slice(-6000));
  });
}
