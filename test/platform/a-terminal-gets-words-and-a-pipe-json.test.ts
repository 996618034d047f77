import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { createLog } from "../../src/platform/log.ts";
import { asText } from "../../src/platform/log-text.ts";
import { inputs } from "../support/generated.ts";
import { inherited } from "../support/inherited.ts";

const LOG = new URL("../../src/platform/log.ts", import.meta.url).href;
// script(1) of util-linux gives a command a terminal.
const skip = !String(spawnSync("script", ["--version"]).stdout).includes("util-linux");

/** What comes out of a process that logs one line; on a terminal of its own, or through a pipe. */
async function logged(
  to: "terminal" | "pipe",
  format: "json" | "text" | undefined,
  environment: Record<string, string> = {},
): Promise<string> {
  const program = `import { createLog, openLog } from "${LOG}";
    createLog({ level: "info", destination: openLog("stdout", ${JSON.stringify(format)}) })
      .warn("it is so", { provider: "openai", count: 2, agent: "two words" });`;
  const args = ["--input-type=module", "--eval", program];
  const quoted = [process.execPath, ...args].map((word) => `'${word}'`).join(" ");
  const [command, all] =
    to === "pipe"
      ? [process.execPath, args]
      : ["script", ["--quiet", "--return", "--command", quoted, "/dev/null"]];
  const child = spawn(command, all, {
    env: { ...inherited(), TERM: "xterm-256color", TZ: "UTC", ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (data: string) => (text += data));
  const [status] = (await once(child, "close")) as [number | null];
  assert.equal(status, 0, text);
  return text.replaceAll("\r", "");
}

const WORDS = /^\d\d:\d\d:\d\d warn {2}it is so provider=openai count=2 agent="two words"\n$/;

describe("a terminal gets words and a pipe JSON", () => {
  it("by themselves", { skip }, async () => {
    const coloured = await logged("terminal", undefined);
    assert.ok(coloured.includes("\u001b[33mwarn"), coloured);
    assert.match(stripVTControlCharacters(coloured), WORDS);
    assert.match(await logged("terminal", undefined, { NO_COLOR: "1" }), WORDS);
    assert.match(await logged("terminal", undefined, { TERM: "dumb" }), WORDS);
    assert.partialDeepStrictEqual(JSON.parse(await logged("pipe", undefined)), { level: 40 });
  });

  it("or as the setting says", { skip }, async () => {
    assert.partialDeepStrictEqual(JSON.parse(await logged("terminal", "json")), { level: 40 });
    assert.match(await logged("pipe", "text"), WORDS);
  });

  it("nothing that a client chose steers the terminal or makes a line of its own", () => {
    const lines: string[] = [];
    const destination = asText({ write: (line) => lines.push(line) }, { colours: false });
    const log = createLog({ level: "debug", destination });
    const any = fc.integer({ min: 0, max: 0x10_ff_ff }).map((point) => String.fromCodePoint(point));
    const hostile = fc.constantFrom("\u001b", "\n", "\r", "\u009b", "\u202e", "=", '"', "a");
    const text = fc.string({ unit: fc.oneof(any, hostile) });
    fc.assert(
      fc.property(text, text, (path, value) => {
        log.info("exchange", { path, context: { [value]: value } });
        const line = lines.pop() ?? "";
        assert.match(line, /^\d\d:\d\d:\d\d info {2}exchange path=\P{C}*\n$/u);
      }),
      inputs(2026_11_30, 300),
    );
    assert.deepEqual(lines, []);
  });

  it("what is no line of ours passes, without its control sequences", () => {
    const lines: string[] = [];
    const destination = asText({ write: (line) => lines.push(line) }, { colours: false });
    for (const line of ["a worker said this \u001b[2J\n", "null\n", "[1]\n"]) {
      destination.write(line);
    }
    assert.deepEqual(lines, ["a worker said this \\u{1b}[2J\n", "null\n", "[1]\n"]);
  });
});
