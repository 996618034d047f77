// Gemini CLI, the command-line agent, through the proxy: the real program, run as its users run it.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { snippetsFor } from "../../src/dashboard/snippets.ts";
import type { Provider } from "../../src/contract/index.ts";
import {
  startLookAlikeBehindProxy,
  type LookAlikeBehindProxy,
} from "../support/look-alike-behind-proxy.ts";
import { INSTALL_TIMEOUT_MS, installTool, runTool, type ToolRun } from "./tools/install.ts";

// Its own program is in the package; what else there is for a machine, it does without.
const tool = await installTool("gemini-cli", "@google/gemini-cli", { native: false });

let world: LookAlikeBehindProxy;
let folder = "";
before(async () => {
  world = await startLookAlikeBehindProxy();
  folder = await mkdtemp(join(tmpdir(), "x3sproxy-gemini-cli-"));
  await mkdir(join(folder, ".gemini"));
});
after(async () => {
  await world.close();
  await rm(folder, { recursive: true, force: true });
});

/** What the dashboard's snippet says: a settings file, and two variables. */
async function gemini(
  args: readonly string[],
  token = world.token,
): Promise<Awaited<ToolRun["ended"]>> {
  assert.ok(tool);
  const snippet = snippetOf(token);
  const settings = snippet.split("\n").find((line) => line.startsWith("{"));
  assert.ok(settings !== undefined, snippet);
  await writeFile(join(folder, ".gemini", "settings.json"), settings);
  const variables = [...snippet.matchAll(/^export (\w+)='(.*)'$/gm)].map(
    ([, name = "", value = ""]) => [name, value] as const,
  );
  return runTool(join(tool.wrapper, "bundle", "gemini.js"), args, {
    cwd: folder,
    env: {
      ...Object.fromEntries(variables),
      HOME: folder,
      GEMINI_TELEMETRY_ENABLED: "false",
      GEMINI_CLI_TRUST_WORKSPACE: "true",
    },
  }).ended;
}

function snippetOf(token: string): string {
  const provider: Provider = {
    ...{ name: "gemini", title: "Google Gemini", kind: "built-in", origin: null },
    ...{ header: "x-goog-api-key", scheme: "", baseUrl: world.baseUrl("gemini") },
    ...{ environments: ["production"], sensitiveEndpoints: [], client: null },
  };
  const agent = { name: "gemini-cli", environment: "production" };
  const snippets = snippetsFor({ agent, token, providers: [provider] });
  const found = snippets.find(({ id }) => id === "gemini-cli");
  assert.ok(found !== undefined);
  return found.text;
}

describe("Gemini CLI", { timeout: INSTALL_TIMEOUT_MS }, () => {
  test("gets an answer as the snippet sets it up, with the real key upstream", async () => {
    const { status, stdout, stderr } = await gemini(["-m", "gemini-2.5-flash", "-p", "say hello"]);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /called with the key …3333/, stderr);
    assert.equal(world.lastRequest().key?.provider, "gemini");
  });

  test("leaves no token upstream and no key in the log", () => world.assertNothingLeaked());
});
