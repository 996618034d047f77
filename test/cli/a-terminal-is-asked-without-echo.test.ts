import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { it } from "node:test";
import { assertHides, FAKE_KEY } from "../admin/fixture.ts";
import { LAUNCHER, openCli } from "./fixture.ts";
import { inherited } from "../support/inherited.ts";

// script(1) of util-linux gives a command a terminal.
const skip = !String(spawnSync("script", ["--version"]).stdout).includes("util-linux");

/** Runs the command line on a terminal and types `answer` when `prompt` shows. */
async function typeAt(
  args: readonly string[],
  environment: Record<string, string>,
  prompt: string,
  answer: string,
): Promise<{ status: number | null; screen: string }> {
  const command = [process.execPath, LAUNCHER, ...args].map((word) => `'${word}'`).join(" ");
  const child = spawn("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
    env: { ...inherited(), TERM: "xterm", ...environment },
  });
  let screen = "";
  let typed = false;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    screen += text;
    if (typed || !screen.includes(prompt)) return;
    typed = true;
    child.stdin.write(answer);
  });
  const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { status, screen };
}

it("a key is typed in, and stored, without showing on the screen", { skip }, async (t) => {
  const { environment, call } = await openCli(t);
  const args = ["secret", "set", "openai"];
  const { status, screen } = await typeAt(args, environment, "not shown: ", `${FAKE_KEY}\r`);
  assert.equal(status, 0, screen);
  assertHides(screen, FAKE_KEY);
  const { body } = await call("GET", "/api/v1/secrets");
  assert.partialDeepStrictEqual(body, { secrets: [{ provider: "openai", masked: "sk-…wxyz" }] });
});

it("Ctrl-C at the prompt stores nothing", { skip }, async (t) => {
  const { environment, call } = await openCli(t);
  const args = ["secret", "set", "openai"];
  const { status, screen } = await typeAt(args, environment, "not shown: ", `${FAKE_KEY}\x03`);
  assert.equal(status, 1, screen);
  assertHides(screen, FAKE_KEY);
  assert.deepEqual((await call("GET", "/api/v1/secrets")).body, {
    secrets: [],
    total: 0,
    nextCursor: null,
  });
});

it("destroying asks, and only yes does it", { skip }, async (t) => {
  const { environment, json } = await openCli(t);
  await json(["agent", "deploy", "coder"]);
  const args = ["agent", "destroy", "coder"];
  const no = await typeAt(args, environment, "[y/N] ", "\r");
  assert.equal(no.status, 1, no.screen);
  assert.match(no.screen, /Nothing was done/);
  assert.equal(((await json(["agent", "list"])) as unknown[]).length, 1);
  const yes = await typeAt(args, environment, "[y/N] ", "y\r");
  assert.equal(yes.status, 0, yes.screen);
  assert.deepEqual(await json(["agent", "list"]), []);
});

it("suspending all asks, with how many they are, and only yes does it", { skip }, async (t) => {
  const { environment, json, call } = await openCli(t);
  for (const name of ["coder", "tester"]) await json(["agent", "deploy", name]);
  const args = ["agent", "suspend", "--all"];
  const no = await typeAt(args, environment, "[y/N] ", "\r");
  assert.equal(no.status, 1, no.screen);
  assert.match(no.screen, /all agents of this workspace \(2\)/);
  const suspendedAt = async (): Promise<unknown> => {
    const { workspace } = (await call("GET", "/api/v1/workspace")).body;
    return (workspace as Record<string, unknown>)["agentsSuspendedAt"];
  };
  assert.equal(await suspendedAt(), null);
  const yes = await typeAt(args, environment, "[y/N] ", "y\r");
  assert.equal(yes.status, 0, yes.screen);
  assert.equal(typeof (await suspendedAt()), "string");
});
