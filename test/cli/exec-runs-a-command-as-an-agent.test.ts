// x3sproxy exec: what its command gets and gives back.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it, type TestContext } from "node:test";
import { hashBearer } from "../../src/platform/ids.ts";
import { FAKE_KEY } from "../admin/fixture.ts";
import { eventually } from "../support/eventually.ts";
import { LAUNCHER, openCli, runCli } from "./fixture.ts";
import { inherited } from "../support/inherited.ts";

async function open(t: TestContext) {
  const cli = await openCli(t);
  await cli.json(["secret", "set", "openai"], FAKE_KEY);
  await cli.json(["secret", "set", "anthropic"], "sk-ant-api03-FAKE-exec-0123456789abcdefghij");
  await cli.json(["agent", "deploy", "coder", "--providers", "openai,mistral"]);
  const exec = (args: string[], environment: Record<string, string> = {}) =>
    runCli(["exec", ...args], { environment: { ...cli.environment, ...environment } });
  const leases = () =>
    cli.owner<{ hash: string; expires_at: Date }[]>`
      select encode(hash, 'hex') as hash, expires_at from x3sproxy.proxy_tokens where kind = 'lease'`;
  /** Starts it and waits until its command has written a line. */
  const start = async (script: string, ...before: string[]) => {
    const child = spawn(
      process.execPath,
      [LAUNCHER, "exec", ...before, "coder", "--", process.execPath, "-e", script],
      {
        env: { ...inherited(), ...cli.environment },
        stdio: ["pipe", "pipe", "pipe"],
        detached: true,
      },
    );
    t.after(() => {
      // Its command, too, which would keep our pipes open.
      if (child.exitCode === null && child.pid !== undefined) {
        try {
          process.kill(-child.pid, "SIGKILL");
        } catch {
          // All of it has ended.
        }
      }
    });
    const output = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk: Buffer) => (output.stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output.stderr += chunk.toString()));
    await eventually(() => output.stdout.includes("\n"));
    return { child, output };
  };
  return { ...cli, exec, leases, start };
}

const ended = async (child: ChildProcess) => {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode;
};
const PRINT_ENVIRONMENT = ["--", process.execPath, "-p", "JSON.stringify(process.env)"];

it("the command has what the agent's clients need, and a token that ends with it", async (t) => {
  const { exec, leases } = await open(t);
  const { status, stdout, stderr } = await exec(["coder", ...PRINT_ENVIRONMENT], { LANG: "C" });
  assert.equal(status, 0, stderr);
  const env = JSON.parse(stdout) as Record<string, string>;
  const { X3SPROXY_TOKEN: token = "" } = env;
  assert.match(token, /^x3sproxy_[A-Za-z0-9]{32}$/);
  assert.equal(env["OPENAI_API_KEY"], token);
  assert.equal(env["OPENAI_BASE_URL"], "https://llm.example.test/openai/v1");
  assert.equal(env["X3SPROXY_URL"], "https://llm.example.test");
  assert.equal(env["LANG"], "C");
  // Not allowed; and without a key.
  assert.equal("ANTHROPIC_API_KEY" in env || "MISTRAL_API_KEY" in env, false);
  assert.deepEqual([...(await leases())], []);
  assert.equal(stderr.includes(token), false);
});

it("real keys and the service's own settings are not passed on; their names are told", async (t) => {
  const { exec } = await open(t);
  const real = "sk-FAKE-somebodys-own-key-0123456789";
  const names = [
    ...["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "MISTRAL_API_KEY", "GEMINI_API_KEY"],
    ...["X3SPROXY_MASTER_KEY", "X3SPROXY_MASTER_KEY_FILE", "X3SPROXY_REGISTRATION_TOKEN"],
    ...["DATABASE_URL", "REDIS_URL", "PGPASSWORD", "OPENAI_API_KEY"],
  ];
  const { status, stdout, stderr } = await exec(
    ["coder", ...PRINT_ENVIRONMENT],
    Object.fromEntries(names.map((name) => [name, real])),
  );
  assert.equal(status, 0, stderr);
  assert.equal(stdout.includes(real), false);
  assert.equal(stderr.includes(real), false);
  const env = JSON.parse(stdout) as Record<string, string>;
  assert.equal("X3SPROXY_API_KEY" in env, false);
  assert.deepEqual(
    Object.keys(env)
      .filter((name) => name.startsWith("X3SPROXY_"))
      .sort(),
    ["X3SPROXY_TOKEN", "X3SPROXY_URL"],
    "where the service and its data are is not the command's business either",
  );
  assert.equal(env["OPENAI_API_KEY"], env["X3SPROXY_TOKEN"]);
  const told = /Not passed on: (.*)\./.exec(stderr)?.[1]?.split(", ");
  assert.deepEqual(
    told,
    names.filter((name) => name !== "OPENAI_API_KEY" && !name.startsWith("X3SPROXY_")).sort(),
  );
});

it("--providers chooses among those that the agent can use", async (t) => {
  const { exec, json, leases } = await open(t);
  await json(["agent", "deploy", "both"]);
  const chosen = await exec(["both", "--providers", "anthropic", ...PRINT_ENVIRONMENT], {
    OPENAI_API_KEY: "sk-FAKE-openai",
  });
  const env = JSON.parse(chosen.stdout) as Record<string, string>;
  assert.equal(env["ANTHROPIC_API_KEY"], env["X3SPROXY_TOKEN"]);
  assert.equal("OPENAI_API_KEY" in env, false);
  const refused = await exec(["coder", "--providers", "anthropic", ...PRINT_ENVIRONMENT]);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /can't use anthropic/);
  assert.deepEqual([...(await leases())], []);
});

it("the exit status is the command's, or says why there was none", async (t) => {
  const { exec, environment, leases } = await open(t);
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-exec-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const plain = join(folder, "plain");
  await writeFile(plain, "no program", { mode: 0o600 });
  const cases: [args: string[], status: number][] = [
    [["coder", "--", "sh", "-c", "exit 0"], 0],
    [["coder", "--", "sh", "-c", "exit 42"], 42],
    [["coder", "--", "sh", "-c", "kill -KILL $$"], 137],
    [["coder", "--", "sh", "-c", "kill -TERM $$"], 143],
    [["coder", "--", "x3sproxy-no-such-command"], 127],
    [["coder", "--", plain], 126],
    [["coder"], 2],
    [["coder", "--unknown", "--", "true"], 2],
    [["nobody", "--", "true"], 1],
  ];
  for (const [args, expected] of cases) {
    const { status, stderr } = await exec(args);
    assert.equal(status, expected, `${args.join(" ")}: ${stderr}`);
  }
  const nobody = await exec(["nobody", "--", "echo", "--json"]);
  assert.match(nobody.stderr, /no agent nobody.*x3sproxy agent deploy nobody/);
  assert.equal(nobody.stdout, "", "--json was the command's");
  const away = await runCli(["exec", "coder", "--", "true"], {
    environment: { ...environment, X3SPROXY_ADMIN_URL: "http://127.0.0.1:9" },
  });
  assert.equal(away.status, 1);
  assert.deepEqual([...(await leases())], []);
});

it("it has the standard streams for itself", async (t) => {
  const { environment } = await open(t);
  const { stdout, status } = await runCli(["exec", "coder", "--", "cat"], {
    environment,
    input: "through\n",
  });
  assert.deepEqual([status, stdout], [0, "through\n"]);
});

it("signals are the command's, which may outlive them; the lease ends with it", async (t) => {
  const { start, leases } = await open(t);
  const signals = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH"] as const;
  const { child, output } = await start(`
    for (const signal of ${JSON.stringify([...signals, "SIGTERM"])}) {
      process.on(signal, () => {
        console.log(signal);
        if (signal === "SIGTERM") process.exit(7);
      });
    }
    setInterval(() => undefined, 1000);
    console.log("ready");`);
  assert.equal((await leases()).length, 1);
  for (const signal of [...signals, "SIGTERM"] as const) {
    child.kill(signal);
    await eventually(() => output.stdout.includes(signal));
  }
  assert.equal(await ended(child), 7);
  assert.deepEqual(output.stdout.trim().split("\n"), ["ready", ...signals, "SIGTERM"]);
  assert.deepEqual([...(await leases())], []);
});

it("a command that is killed ends it, with its status", async (t) => {
  const { start, leases } = await open(t);
  const { child, output } = await start(
    "console.log(process.pid); setInterval(() => undefined, 1000);",
  );
  process.kill(Number(output.stdout), "SIGKILL");
  assert.equal(await ended(child), 137);
  assert.deepEqual([...(await leases())], []);
});

it("killed itself, it leaves a lease that ends within two minutes", async (t) => {
  const { start, leases } = await open(t);
  const { child, output } = await start(
    "console.log(process.pid); setInterval(() => undefined, 1000);",
  );
  child.kill("SIGKILL");
  await ended(child);
  process.kill(Number(output.stdout), "SIGKILL");
  const [left, ...more] = await leases();
  assert.ok(left !== undefined && more.length === 0);
  assert.ok(left.expires_at.getTime() <= Date.now() + 120_000);
});

it(
  "the token stands on no command line and in no file",
  { skip: process.platform !== "linux" && "needs /proc" },
  async (t) => {
    const { start, leases } = await open(t);
    const { child, output } = await start(
      "console.log(process.env.X3SPROXY_TOKEN); setInterval(() => undefined, 1000);",
    );
    const token = output.stdout.trim();
    const [lease] = await leases();
    assert.equal(hashBearer(token), lease?.hash);
    let seen = 0;
    for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
      const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      if (line.includes("exec\0coder")) seen++;
      assert.equal(line.includes(token), false);
    }
    assert.ok(seen > 0, "the search saw it");
    assert.equal(output.stderr.includes(token), false);
    child.kill("SIGTERM");
    assert.equal(await ended(child), 143);
  },
);

it("several at once have a token each", async (t) => {
  const { exec, leases } = await open(t);
  const ran = await Promise.all(
    Array.from({ length: 6 }, () =>
      exec(["coder", "--", process.execPath, "-p", "process.env.X3SPROXY_TOKEN"]),
    ),
  );
  assert.ok(ran.every(({ status }) => status === 0));
  assert.equal(new Set(ran.map(({ stdout }) => stdout)).size, 6);
  assert.deepEqual([...(await leases())], []);
});
