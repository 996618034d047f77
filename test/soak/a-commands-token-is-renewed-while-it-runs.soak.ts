// What takes exec longer than a test may: renewals each 30 s, a service that is away, a redeployment that is noticed at the next one.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { it, test, type TestContext } from "node:test";
import { createLookAlike } from "../../demo/look-alike/look-alike.ts";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService, type RunningService } from "../support/service.ts";
import { createTcpGate } from "../support/tcp-gate.ts";
import { LAUNCHER, openCli } from "../cli/fixture.ts";

const KEY = "sk-proj-FAKE-registration-0123456789-abcd";

async function openTwo(t: TestContext) {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const lookAlike = createLookAlike({ keys: { openai: [KEY] } });
  const env = {
    X3SPROXY_ORIGIN_OPENAI: await lookAlike.listen(),
    X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
    // Each agent comes from an address of its own, as containers do.
    X3SPROXY_TRUSTED_PROXIES: "127.0.0.0/8",
  };
  t.after(() => lookAlike.close());
  const one = await runService({ database, env });
  t.after(() => one.remove());
  const other = await runService({ database, env, apiKey: one.apiKey });
  t.after(() => other.remove());
  await one.setSecret("openai", KEY);
  return { one, other };
}

async function refusalAt({ proxyUrl }: RunningService, token: string): Promise<string | number> {
  const response = await fetch(`${proxyUrl}/openai/v1/models`, {
    headers: { authorization: `Bearer ${token}` },
  });
  await response.body?.cancel();
  return response.headers.get("x3sproxy-refusal") ?? response.status;
}

test(
  "a command's token is renewed while the command runs, and a redeployment ends it",
  { timeout: 180_000 },
  async (t) => {
    const { one, other } = await openTwo(t);
    await one.deploy("coder");
    const script = `console.log(process.env.X3SPROXY_TOKEN); setInterval(() => undefined, 1000);`;
    const child = spawn(
      process.execPath,
      [LAUNCHER, "exec", "coder", "--", process.execPath, "-e", script],
      {
        env: {
          PATH: process.env["PATH"],
          X3SPROXY_ADMIN_URL: other.adminUrl,
          X3SPROXY_API_KEY: one.apiKey,
        },
        detached: true,
      },
    );
    t.after(() => {
      // Its command, too, which would keep our pipes open.
      if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    });
    const output = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk: Buffer) => (output.stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output.stderr += chunk.toString()));
    await eventually(() => output.stdout.includes("\n"));
    const token = output.stdout.trim();
    const expiresAt = async () => {
      const headers = { authorization: `Bearer ${token}` };
      const response = await fetch(`${one.proxyUrl}/_x3sproxy/token`, { headers });
      return Date.parse(((await response.json()) as { expiresAt: string }).expiresAt);
    };
    const first = await expiresAt();
    // One service remembers it for up to 60 s; what it renews at the other is not announced.
    await eventually(async () => (await expiresAt()) > first, 100_000);
    assert.equal(await refusalAt(one, token), 200);
    assert.equal(output.stderr, "");

    await one.deploy("coder");
    for (const service of [one, other]) {
      await eventually(async () => (await refusalAt(service, token)) === "unknown_token", 1_000);
    }
    await eventually(() => output.stderr.includes("has ended"), 40_000);
    assert.equal(child.exitCode, null, "the command goes on");
    child.kill("SIGTERM");
    await eventually(() => child.exitCode === 143);
    assert.equal(output.stderr.trim().split("\n").length, 1, output.stderr);
  },
);

it(
  "while the service is away it warns once and tries on; the lease lives when it is back in time",
  { timeout: 120_000 },
  async (t) => {
    const { url, environment, json, owner } = await openCli(t);
    await json(["agent", "deploy", "coder"]);
    const gate = await createTcpGate(url);
    t.after(() => gate.close());
    const child = spawn(
      process.execPath,
      [
        LAUNCHER,
        "exec",
        "coder",
        "--",
        process.execPath,
        "-e",
        "console.log(1); setInterval(() => undefined, 1000)",
      ],
      {
        env: {
          PATH: process.env["PATH"],
          ...environment,
          X3SPROXY_ADMIN_URL: gate.url.replace(/\/$/, ""),
        },
        detached: true,
      },
    );
    t.after(() => {
      // Its command, too, which would keep our pipes open.
      if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    });
    const output = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk: Buffer) => (output.stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output.stderr += chunk.toString()));
    await eventually(() => output.stdout !== "");
    const end = async () => {
      const [lease] = await owner<{ expires_at: Date }[]>`
        select expires_at from x3sproxy.proxy_tokens where kind = 'lease'`;
      return lease?.expires_at.getTime() ?? 0;
    };
    const first = await end();
    await gate.set("refuse");
    const failed = gate.accepted;
    await eventually(() => output.stderr.includes("can't be renewed"), 45_000);
    await gate.set("open");
    await eventually(async () => (await end()) > first, 15_000);
    assert.ok(gate.accepted > failed);
    assert.equal(output.stderr.match(/can't be renewed/g)?.length, 1, output.stderr);
    child.kill("SIGTERM");
    await eventually(() => child.exitCode === 143);
    assert.equal(await end(), 0);
  },
);
