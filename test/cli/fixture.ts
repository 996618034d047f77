// Runs the command line as people do: a process of its own, against a real admin side.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { TestContext } from "node:test";
import { openAdmin } from "../admin/fixture.ts";
import { inherited } from "../support/inherited.ts";

export const LAUNCHER = fileURLToPath(new URL("../../bin/x3sproxy.js", import.meta.url));

export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `x3sproxy …args` with `input` on standard input and only `environment` of our settings. */
export async function runCli(
  args: readonly string[],
  o: { input?: string; environment?: Record<string, string> } = {},
): Promise<Run> {
  const child = spawn(process.execPath, [LAUNCHER, ...args], {
    env: { ...inherited(), X3SPROXY_DATA_DIR: "/nowhere", ...o.environment },
  });
  child.stdin.on("error", () => undefined); // it may have ended without reading
  child.stdin.end(o.input ?? "");
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { status, ...output };
}

/** An admin side and the command line set up for it. `json` runs with --json, expects success and parses the one document. */
export async function openCli(t: TestContext) {
  const admin = await openAdmin(t);
  const environment = { X3SPROXY_ADMIN_URL: admin.url, X3SPROXY_API_KEY: admin.apiKey };
  const run = (args: readonly string[], input?: string): Promise<Run> =>
    runCli(args, { environment, ...(input !== undefined && { input }) });
  const json = async (args: readonly string[], input?: string): Promise<unknown> => {
    const { status, stdout, stderr } = await run([...args, "--json"], input);
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout);
  };
  return { ...admin, environment, run, json };
}
