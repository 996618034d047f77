// On a terminal, where log and banner are one: after whole lines, at the first start with the link that makes the first user, later without.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it, type TestContext } from "node:test";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { inherited } from "../support/inherited.ts";
import { LAUNCHER } from "./fixture.ts";

const skip = !String(spawnSync("script", ["--version"]).stdout).includes("util-linux");

/** `serve` on a terminal, until its banner is there. */
async function start(t: TestContext, environment: Record<string, string>) {
  const command = `exec '${process.execPath}' '${LAUNCHER}' serve`;
  const child = spawn("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
    env: { ...inherited(), TERM: "xterm", NO_COLOR: "1", ...environment },
  });
  t.after(() => child.kill("SIGKILL"));
  let screen = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    screen += text.replaceAll("\r", "");
  });
  const closed = once(child, "close");
  await eventually(() => screen.includes("Ctrl-C stops it.\n") || child.exitCode !== null);
  return {
    screen,
    async stop() {
      child.stdin.write("\x03");
      assert.deepEqual(await closed, [0, null], screen);
      return screen;
    },
  };
}

it("the banner names the dashboard", { skip }, async (t) => {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-banner-"));
  t.after(() => rm(folder, { recursive: true }));
  const environment = {
    DATABASE_URL: database.ownerUrl,
    X3SPROXY_MASTER_KEY: database.masterKey,
    X3SPROXY_DATA_DIR: folder,
    X3SPROXY_PROXY_ADDR: "127.0.0.1:0",
    X3SPROXY_ADMIN_ADDR: "127.0.0.1:0",
    X3SPROXY_METRICS_ADDR: "127.0.0.1:0",
    X3SPROXY_DASHBOARD_URL: "http://localhost:18788",
    X3SPROXY_DRAIN_DELAY: "0s",
  };

  const first = await start(t, environment);
  const [before = "", banner = ""] = first.screen.split("\nx3sproxy is running");
  for (const line of before.trimEnd().split("\n")) {
    assert.match(line, /^\d\d:\d\d:\d\d (info|warn) /, "a line of words");
  }
  assert.match(before, /info {2}listening route=admin address=127\.0\.0\.1:\d+\n/);
  assert.match(banner, /^ {2}dashboard {2}http:\/\/localhost:18788\/$/m);
  const [, link = "", token = ""] = /(http\S+)#token=(x3ssetup_\w{32})\n/.exec(banner) ?? [];
  assert.equal(link, "http://localhost:18788/setup");
  const [, adminUrl = ""] = /admin +(http:\S+)/.exec(banner) ?? [];
  const made = await fetch(`${adminUrl}/api/v1/setup`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      ...{ token, email: "ada@example.test", password: "violet-harbour-tinsel-93" },
    }),
  });
  assert.equal(made.status, 201, await made.text());
  const all = await first.stop();
  assert.match(all, /\n\d\d:\d\d:\d\d info {2}stopped\n$/);

  const second = await start(t, environment);
  assert.match(second.screen, /^ {2}dashboard {2}http:\/\/localhost:18788\/$/m);
  assert.doesNotMatch(second.screen, /setup/);
  await second.stop();
});
