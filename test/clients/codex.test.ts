// Codex CLI, the command-line agent, through the proxy: the real program, run as its users run it.
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

const tool = await installTool("codex", "@openai/codex");
const skip = tool === undefined && `there is no Codex CLI for ${process.platform}-${process.arch}`;

let world: LookAlikeBehindProxy;
let folder = "";
before(async () => {
  world = await startLookAlikeBehindProxy();
  folder = await mkdtemp(join(tmpdir(), "x3sproxy-codex-"));
  await writeFile(
    join(folder, "config.toml"),
    // Its sandbox is not what is looked at: with bubblewrap on the machine it needs a program that the package may not bring.
    `model = "gpt-5.1-codex"
sandbox_mode = "danger-full-access"
model_provider = "x3sproxy"
[model_providers.x3sproxy]
name = "x3sproxy"
base_url = "${world.baseUrl("openai")}/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
`,
  );
});
after(async () => {
  await world.close();
  await rm(folder, { recursive: true, force: true });
});

function codex(question: string, token = world.token, ...args: string[]): ToolRun {
  assert.ok(tool);
  const script = join(tool.wrapper, "bin", "codex.js");
  return runTool(script, ["exec", "--skip-git-repo-check", "--json", ...args, question], {
    cwd: folder,
    env: { OPENAI_API_KEY: token, HOME: folder, CODEX_HOME: folder },
  });
}

describe("Codex CLI", { skip, timeout: INSTALL_TIMEOUT_MS }, () => {
  test("gets an answer, with the real key upstream", async () => {
    const { status, stdout, stderr } = await codex("say hello").ended;
    assert.equal(status, 0, stderr);
    assert.match(stdout, /called with the key sk-proj-…2222/);
    assert.equal(world.lastRequest().url, "/v1/responses");
    assert.equal(world.lastRequest().key?.provider, "openai");
  });

  test("uses a tool and brings its result", async () => {
    const question = `tool:exec_command ${JSON.stringify({ cmd: "echo the word is quince" })}`;
    const { status, stdout, stderr } = await codex(question).ended;
    assert.equal(status, 0, stderr);
    assert.match(stdout, /The tool answered: .*the word is quince/);
  });

  test("shows the upstream's own error", async () => {
    const { status, stdout } = await codex("status:429").ended;
    assert.equal(status, 1);
    assert.match(stdout, /429 Too Many Requests/);
  });

  test("that is interrupted ends the call upstream", async () => {
    const arrived = world.lookAlike.nextRequest();
    const run = codex("slow:600x100");
    await arrived;
    run.interrupt();
    await run.ended;
    await world.assertAbandoned();
  });

  test("shows our refusal, with the way to the Secrets tab", async () => {
    await world.assertNothingUpstream(async () => {
      const { status, stdout } = await codex("say hello", world.keylessToken).ended;
      assert.equal(status, 1);
      const tab = `${world.service.adminUrl}/secrets?provider=openai&environment=empty`;
      assert.ok(stdout.includes(tab), stdout);
    });
  });

  test("leaves no token upstream and no key in the log", () => world.assertNothingLeaked());
});
