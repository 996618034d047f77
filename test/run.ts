// Runs the tests, a handful of files in each process: in one of its own, a file spends half of its processor time on loading what all of
// them load. Each file is a suite, so its hooks are its own. `npm run test:run -- "test/vault/*.test.ts"` runs only those; options
// are Node's.
import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const ROOT = resolve(import.meta.dirname, "..");
const ALL = "test/*/*.test.ts";
const FILES_A_PROCESS = 8;
const PROCESSES_AT_ONCE = 3;
const FILE_WITHIN_MS = 120_000;

const given = process.argv.slice(2);
const options = given.filter((each) => each.startsWith("-"));
const patterns = given.filter((each) => !options.includes(each));
const files = globSync(patterns.length > 0 ? patterns : ALL, { cwd: ROOT }).sort();
if (files.length === 0) throw new Error(`there are no tests called ${patterns.join(" ")}`);

const folder = mkdtempSync(join(tmpdir(), "x3sproxy-test-run-"));
try {
  const entries: string[] = [];
  for (let at = 0; at < files.length; at += FILES_A_PROCESS) {
    const entry = join(folder, `files-from-${String(at).padStart(4, "0")}.mjs`);
    const suites = files.slice(at, at + FILES_A_PROCESS).map(suiteOf);
    writeFileSync(entry, ['import { describe } from "node:test";', ...suites, ""].join("\n"));
    entries.push(entry);
  }
  const { status } = spawnSync(
    process.execPath,
    [
      "--test",
      "--test-global-setup=test/support/global-setup.ts",
      `--test-concurrency=${PROCESSES_AT_ONCE}`,
      `--test-timeout=${FILE_WITHIN_MS * FILES_A_PROCESS}`,
      ...options,
      ...entries,
    ],
    { cwd: ROOT, stdio: "inherit" },
  );
  process.exitCode = status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function suiteOf(file: string): string {
  const url = pathToFileURL(join(ROOT, file)).href;
  return `describe(${JSON.stringify(file)}, { timeout: ${FILE_WITHIN_MS} }, () => import(${JSON.stringify(url)}));`;
}
