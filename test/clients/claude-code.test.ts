// Claude Code, the command-line agent, through the proxy: the real program, run as its users run it.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  startLookAlikeBehindProxy,
  type LookAlikeBehindProxy,
} from "../support/look-alike-behind-proxy.ts";
import { INSTALL_TIMEOUT_MS, installTool, runTool, type ToolRun } from "./tools/install.ts";

const tool = await installTool("claude-code", "@anthropic-ai/claude-code");
const skip =
  tool === undefined && `there is no Claude Code for ${process.platform}-${process.arch}`;

let world: LookAlikeBehindProxy;
let folder = "";
before(async () => {
  world = await startLookAlikeBehindProxy();
  folder = await mkdtemp(join(tmpdir(), "x3sproxy-claude-code-"));
});
after(async () => {
  await world.close();
  await rm(folder, { recursive: true, force: true });
});

/** What its users set: the base URL and the token. The rest keeps it from anything but the question. */
function claude(args: readonly string[], token = world.token): ToolRun {
  assert.ok(tool);
  return runTool(join(tool.wrapper, "cli-wrapper.cjs"), ["-p", ...args], {
    cwd: folder,
    env: {
      ANTHROPIC_BASE_URL: world.baseUrl("anthropic"),
      ANTHROPIC_AUTH_TOKEN: token,
      HOME: folder,
      CLAUDE_CONFIG_DIR: join(folder, ".claude"),
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      CLAUDE_CODE_MAX_RETRIES: "0",
      DISABLE_AUTOUPDATER: "1",
    },
  });
}

describe("Claude Code", { skip, timeout: INSTALL_TIMEOUT_MS }, () => {
  test("gets an answer, with the real key upstream", async () => {
    const { status, stdout, stderr } = await claude(["say hello"]).ended;
    assert.equal(status, 0, stderr);
    assert.match(stdout, /called with the key sk-ant-…1111/);
    assert.equal(world.lastRequest().url, "/v1/messages?beta=true");
    assert.equal(world.lastRequest().key?.provider, "anthropic");
  });

  test("uses a tool and brings its result", async () => {
    const file = join(folder, "note.txt");
    await writeFile(file, "the word is quince\n");
    const question = `tool:Read ${JSON.stringify({ file_path: file })}`;
    const { status, stdout, stderr } = await claude([question, "--allowedTools", "Read"]).ended;
    assert.equal(status, 0, stderr);
    assert.match(stdout, /The tool answered: .*the word is quince/);
  });

  test("finds the base URL alive before it has shown any token", async () => {
    const { status } = await fetch(world.baseUrl("anthropic"), { method: "HEAD" });
    assert.equal(status, 200);
  });

  test("shows the upstream's own error", async () => {
    const { status, stdout } = await claude(["status:529"]).ended;
    assert.equal(status, 1);
    assert.match(stdout, /529/);
  });

  test("that is interrupted ends the call upstream", async () => {
    const arrived = world.lookAlike.nextRequest();
    const run = claude(["slow:600x100"]);
    await arrived;
    run.interrupt();
    await run.ended;
    await world.assertAbandoned();
  });

  test("shows our refusal, with the way to the Secrets tab", async () => {
    await world.assertNothingUpstream(async () => {
      const { status, stdout } = await claude(["say hello"], world.keylessToken).ended;
      assert.equal(status, 1);
      const tab = `${world.service.adminUrl}/secrets?provider=anthropic&environment=empty`;
      assert.ok(stdout.includes(tab), stdout);
    });
  });

  test("leaves no token upstream and no key in the log", () => world.assertNothingLeaked());
});
