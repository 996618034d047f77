import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { assertHides, FAKE_KEY } from "../admin/fixture.ts";
import { inherited } from "../support/inherited.ts";
import { LAUNCHER, runCli } from "./fixture.ts";

it("starts in an empty folder, says what to do next, serves, and ends cleanly on SIGTERM", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy cli "));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const dataDir = join(folder, "data");
  const child = spawn(process.execPath, [LAUNCHER, "serve"], {
    env: {
      ...inherited(),
      X3SPROXY_DATA_DIR: dataDir,
      X3SPROXY_PROXY_ADDR: "127.0.0.1:0",
      X3SPROXY_ADMIN_ADDR: "127.0.0.1:0",
      X3SPROXY_METRICS_ADDR: "127.0.0.1:0",
    },
  });
  t.after(() => child.kill("SIGKILL"));
  let [log, banner] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (log += text));
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      banner += text;
      if (banner.includes("Ctrl-C")) resolve();
    });
    void ended.then(() => reject(new Error(`it ended: ${banner}`)));
  });

  const adminUrl = /admin +(http:\S+)/.exec(banner)?.[1] ?? "";
  const setupToken = /#token=(x3ssetup_\w{32})\s/.exec(banner)?.[1] ?? "";
  assert.notEqual(setupToken, "");
  assert.match(banner, /npx x3sproxy secret set openai/);
  assert.match(banner, /npx x3sproxy agent deploy/);
  assert.match(banner, /curl .*\/openai\/v1\/models/);
  // The key comes from the data folder.
  const environment = { X3SPROXY_ADMIN_URL: adminUrl, X3SPROXY_DATA_DIR: dataDir };
  const set = await runCli(["secret", "set", "openai"], { environment, input: FAKE_KEY });
  assert.equal(set.status, 0, set.stderr);

  child.kill("SIGTERM");
  assert.equal(await ended, 0, banner);
  const away = await runCli(["secret", "list"], { environment });
  assert.equal(away.status, 1);
  const lines = log.trimEnd().split("\n");
  assert.ok(lines.length >= 4);
  for (const line of lines) assert.doesNotThrow(() => JSON.parse(line) as unknown, line);
  const apiKey = (await readFile(join(dataDir, "admin-api-key"), "utf8")).trim();
  for (const secret of [FAKE_KEY, apiKey, setupToken]) assertHides(log, secret);
});

it("settings that can't be are explained without a stack, exit status 1", async () => {
  for (const [environment, message] of [
    [{ X3SPROXY_PROXY_ADDR: "nonsense" }, /X3SPROXY_PROXY_ADDR: give host:port/],
    [{ DATABASE_URL: "postgres://127.0.0.1:1/none" }, /master key/],
    [{ X3SPROXY_LOG_LEVEL: "loud" }, /X3SPROXY_LOG_LEVEL/],
  ] as const) {
    const { status, stdout, stderr } = await runCli(["serve"], { environment });
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /^\s+at /m);
  }
});
