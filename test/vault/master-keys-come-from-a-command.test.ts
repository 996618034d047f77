import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { commandEnvironment, readConfig } from "../../src/platform/config.ts";
import { ConfigError } from "../../src/platform/errors.ts";
import { loadMasterKeys } from "../../src/vault/index.ts";
import { readFromCommand, splitCommand } from "../../src/vault/key-command.ts";
import { LAUNCHER } from "../cli/fixture.ts";
import { eventually } from "../support/eventually.ts";
import { ringOf } from "./fixture.ts";

const folder = await mkdtemp(join(tmpdir(), "x3sproxy key command "));
after(() => rm(folder, { recursive: true }));
const [one, two] = [randomBytes(32).toString("base64"), randomBytes(32).toString("base64")];
const environment = { PATH: process.env["PATH"] };

const load = (command: string) =>
  loadMasterKeys(
    { masterKey: { command }, dataDir: folder, databaseUrl: undefined },
    { mayCreate: false },
  );
const text = (line: string, timeoutMs?: number) =>
  readFromCommand(line, environment, (it) => it, timeoutMs);
const refuses = (work: Promise<unknown>, message: RegExp, hidden = one) =>
  assert.rejects(work, (error) => {
    assert.ok(error instanceof ConfigError);
    assert.match(error.message, message);
    assert.ok(!error.message.includes(hidden));
    return true;
  });
const gone = (pid: number) =>
  eventually(() => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  });

test("what a command prints is read as a file of keys is", async () => {
  const file = join(folder, "keys");
  await writeFile(file, `# of 2026\n${one}  # the old one\n\n  ${two}\n`);
  const ring = await load(`cat '${file}'`);
  assert.deepEqual(ring.ids, (await ringOf(`${one} ${two}`)).ids);
});

test("a line is split into words as a shell would, and no shell sees it", async () => {
  const cases: [string, string[]][] = [
    ["op read op://vault/x3sproxy/key", ["op", "read", "op://vault/x3sproxy/key"]],
    [
      " vault  kv get\t-field=key secret/x3sproxy\n",
      ["vault", "kv", "get", "-field=key", "secret/x3sproxy"],
    ],
    [`a 'b c' "d e" f\\ g`, ["a", "b c", "d e", "f g"]],
    [`a '' "" b'c'"d"`, ["a", "", "", "bcd"]],
    [`a "say \\"no\\" \\n \\\\" '\\"'`, ["a", 'say "no" \\n \\', '\\"']],
    ["a $HOME `id` $(id) ; * | > x", ["a", "$HOME", "`id`", "$(id)", ";", "*", "|", ">", "x"]],
  ];
  for (const [line, words] of cases) assert.deepEqual(splitCommand(line), words, line);
  for (const line of ["a 'b", 'a "b', 'a "b\\"', "a \\"]) {
    assert.throws(() => splitCommand(line), { name: "ConfigError", message: /not closed/ });
  }
  assert.throws(() => splitCommand("  "), { name: "ConfigError" });
  assert.equal(await text("printf %s $HOME"), "$HOME");
  assert.equal(await text(`sh -c 'printf %s "$PATH"'`), environment.PATH);
});

test("it gets none of our own settings, and all others", async () => {
  const given = commandEnvironment({
    ...{
      PATH: "/bin",
      VAULT_ADDR: "https://vault",
      AWS_PROFILE: "x",
      OP_SERVICE_ACCOUNT_TOKEN: "t",
    },
    ...{ DATABASE_URL: "postgres://", REDIS_URL: "redis://", PGPASSWORD: "p" },
    ...{ X3SPROXY_MASTER_KEY: one, X3SPROXY_MASTER_KEY_COMMAND: "env", X3SPROXY_API_KEY: "k" },
  });
  assert.deepEqual(Object.keys(given).sort(), [
    ...["AWS_PROFILE", "OP_SERVICE_ACCOUNT_TOKEN", "PATH", "VAULT_ADDR"],
  ]);
  const seen = await readFromCommand("env", { ...given, PATH: environment.PATH }, (it) => it);
  assert.match(seen, /^VAULT_ADDR=https:\/\/vault$/m);
  assert.doesNotMatch(seen, /X3SPROXY|postgres/);
});

test("a command that fails says that it did, and nothing of what it wrote", async () => {
  const script = join(folder, "fails.sh");
  await writeFile(script, `echo ${one}; echo ${two} >&2; exit 3\n`);
  await refuses(load(`sh '${script}'`), /ended with the exit status 3\. Run it by hand/);
  await refuses(load(`sh '${script}'`), /exit status 3/, two);
  await refuses(load("sh -c 'kill -9 $$'"), /was ended by SIGKILL/);
  await refuses(load(one), /can't be started \(ENOENT\)/);
  await refuses(load(`'${script}/none'`), /can't be started \(ENOTDIR\)/);
  await refuses(load(`printf ${"x".repeat(200_000)}`), /can't be started \(E2BIG\)/);
  await refuses(
    load("true"),
    /the output of X3SPROXY_MASTER_KEY_COMMAND has the wrong length: 0 bytes/,
  );
  await refuses(load(`printf %s ${one.slice(4)}`), /wrong length: 29 bytes/, one.slice(4));
  await refuses(load(`printf %s !${one}`), /is not base64/);
});

test("one that writes without end or never ends is ended, with all that it has started", async () => {
  const startMs = performance.now();
  await refuses(load("yes"), /writes too much/);
  const pids = join(folder, "pid");
  await refuses(
    text(`sh -c 'sleep 600 & echo $! > "${pids}"; wait'`, 500),
    /did not end within 1 s/,
  );
  assert.ok(performance.now() - startMs < 20_000);
  await gone(Number(await readFile(pids, "utf8")));
});

test("it does not outlive a service that is ended while it waits", async () => {
  const pids = join(folder, "waiting");
  const service = spawn(process.execPath, [LAUNCHER, "serve"], {
    env: {
      ...environment,
      ...{ X3SPROXY_DATA_DIR: folder, X3SPROXY_METRICS_ADDR: "127.0.0.1:0" },
      DATABASE_URL: "postgres://nobody@127.0.0.1:1/none",
      X3SPROXY_MASTER_KEY_COMMAND: `sh -c 'echo $$ > "${pids}"; exec sleep 600'`,
    },
    stdio: "ignore",
  });
  const pid = await eventually(
    async () => Number(await readFile(pids, "utf8").catch(() => "")) || undefined,
  );
  // The first one asks; one that comes a second later insists.
  await eventually(() => {
    if (service.exitCode === null) service.kill("SIGTERM");
    return service.exitCode !== null;
  });
  assert.equal(service.exitCode, 1);
  await gone(pid);
});

test("only one source is taken", () => {
  const sources = {
    X3SPROXY_MASTER_KEY: one,
    X3SPROXY_MASTER_KEY_FILE: "/key",
    X3SPROXY_MASTER_KEY_COMMAND: "cat /key",
    X3SPROXY_MASTER_KEY_KMS: "/key.kms",
  };
  const names = Object.keys(sources) as (keyof typeof sources)[];
  for (const name of names) assert.ok(readConfig({ [name]: sources[name] }).masterKey, name);
  for (const a of names) {
    for (const b of names) {
      if (a === b) continue;
      assert.throws(() => readConfig({ [a]: sources[a], [b]: sources[b] }), {
        name: "ConfigError",
        message: /^set one of X3SPROXY_MASTER_KEY\w* and X3SPROXY_MASTER_KEY\w*, not both$/,
      });
    }
  }
});
