// `npm run demo` as people run it: by itself, whatever else is configured, and leaving nothing behind.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const DEMO = fileURLToPath(new URL("../../demo/demo.ts", import.meta.url));

let folder = "";
before(async () => (folder = await mkdtemp(join(tmpdir(), "x3sproxy a demo "))));
after(() => rm(folder, { recursive: true, force: true }));

/** Starts the demo with a temporary folder of its own and settings that it must not heed. */
function start() {
  const child = spawn(process.execPath, [DEMO], {
    env: {
      PATH: process.env["PATH"],
      TMPDIR: folder,
      DATABASE_URL: "postgres://nobody@127.0.0.1:1/none",
      X3SPROXY_PROXY_ADDR: "127.0.0.1:1",
      HTTPS_PROXY: "http://127.0.0.1:1",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const shown = { text: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (shown.text += text));
  return { child, shown };
}

describe("the demo", () => {
  test("shows each promise kept and ends with 0 within 30 s", async () => {
    const startedMs = performance.now();
    const { child, shown } = start();
    await once(child, "close");
    assert.equal(child.exitCode, 0, shown.text);
    assert.ok(performance.now() - startedMs < 30_000);
    const story = [
      /look-alike http/,
      /Saved the key sk-…1111/,
      /OPENAI_API_KEY=x3sproxy_/,
      /openai {5}Hello from the openai look-alike\. .* sk-proj-…1111/,
      /anthropic {2}Hello from the anthropic look-alike\. .* sk-ant-…2222/,
      /Version 2 is active/,
      /openai {5}Hello from the openai look-alike\. .* sk-proj-…3333/,
      /openai {5}401 /,
      /✓ not in \d+ files, not in \d+ lines of log/,
      /All went as promised/,
    ];
    assert.match(shown.text, new RegExp(story.map(({ source }) => source).join("[^]*")));
    assert.doesNotMatch(shown.text, /FAKE|x3sproxy_[A-Za-z0-9]{32}/);
    assert.deepEqual(await readdir(folder), []);
  });

  test("interrupted ends with 1, says so, and leaves nothing behind", async () => {
    const { child, shown } = start();
    await once(child.stdout, "data");
    child.kill("SIGINT");
    await once(child, "close");
    assert.equal(child.exitCode, 1);
    assert.match(shown.text, /Step \d did not go as promised: it was interrupted/);
    assert.deepEqual(await readdir(folder), []);
  });
});
