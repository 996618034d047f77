import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { after, it } from "node:test";
import { systemClock } from "../../src/platform/clock.ts";
import { createPool } from "../../src/db/index.ts";
import { newProcessId } from "../../src/platform/ids.ts";
import { createJobRunner, type Job } from "../../src/platform/jobs.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { createKeyRotation, KeyRing, MasterKey, verifyMasterKeys } from "../../src/vault/index.ts";
import { FAKE_KEY, MASTER_KEY_ID } from "../admin/fixture.ts";
import { LAUNCHER, openCli, runCli } from "./fixture.ts";
import { inherited } from "../support/inherited.ts";

const folder = await mkdtemp(join(tmpdir(), "x3sproxy master key "));
after(() => rm(folder, { recursive: true }));
const skip = !String(spawnSync("script", ["--version"]).stdout).includes("util-linux");

const idOf = (line: string): string => new MasterKey(Buffer.from(line, "base64")).id;
const linesOf = async (path: string): Promise<string[]> =>
  (await readFile(path, "utf8")).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
const generate = (...args: string[]) => runCli(["master-key", "generate", ...args]);

it("a new key goes into a new file of its owner's, and one more into a file that is there", async () => {
  const file = join(folder, "master.key");
  const made = await generate("--output", file, "--json");
  assert.equal(made.status, 0, made.stderr);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  const [first = ""] = await linesOf(file);
  assert.deepEqual(JSON.parse(made.stdout), { id: idOf(first), file });

  const again = await generate("--output", file);
  assert.deepEqual([again.status, again.stdout], [1, ""]);
  assert.match(again.stderr, /is there already/);

  await writeFile(file, `# of 2026\n${first}`); // without a line's end
  await chmod(file, 0o400);
  const added = await generate("--add-to", file);
  assert.equal(added.status, 0, added.stderr);
  assert.equal((await stat(file)).mode & 0o777, 0o400);
  const [kept, second = "", ...more] = await linesOf(file);
  assert.deepEqual([kept, more.length, second.length], [first, 0, 44]);
  assert.match(await readFile(file, "utf8"), /^# of 2026\n/);
  assert.ok(!(added.stdout + added.stderr + made.stdout).includes(second));
  assert.ok(added.stdout.includes(idOf(second)));
});

it("a file that can't be written to is named, and what is there stays", async () => {
  const file = join(folder, "linked.key");
  const link = join(folder, "link.key");
  await writeFile(file, "as it was\n");
  await symlink(file, link);
  const cases = [
    [["--add-to", link], /symbolic link/],
    [["--output", link], /is there already/],
    [["--add-to", join(folder, "absent.key")], /ENOENT/],
    [["--output", join(folder, "no folder", "new.key")], /ENOENT/],
    [["--output", "a", "--add-to", file], /Give --output for a new file, or --add-to/],
  ] as const;
  const runs = await Promise.all(cases.map(([args]) => generate(...args)));
  runs.forEach(({ status, stderr }, i) => {
    // The last of them is wrong usage.
    assert.equal(status, i === cases.length - 1 ? 2 : 1);
    assert.match(stderr, cases[i]?.[1] ?? /never/);
  });
  assert.equal(await readFile(file, "utf8"), "as it was\n");

  // No byte of it can be written, as on a full disk.
  const full = join(folder, "full.key");
  const limited = spawnSync(
    "sh",
    ["-c", `ulimit -f 0; exec "$0" "$@"`, process.execPath, LAUNCHER].concat(
      ...["master-key", "generate", "--output", full],
    ),
    { env: { PATH: process.env["PATH"], X3SPROXY_DATA_DIR: "/nowhere" }, encoding: "utf8" },
  );
  assert.equal(limited.status, 1);
  assert.match(limited.stderr, /can't be written \(EFBIG\)/);
  await assert.rejects(stat(full), { code: "ENOENT" });
});

it("to standard output it goes alone; onto a terminal only when that is asked for", async (t) => {
  const { status, stdout } = await generate();
  assert.equal(status, 0);
  assert.match(stdout, /^[A-Za-z0-9+/]{43}=\n$/);
  const json = JSON.parse((await generate("--json")).stdout) as { id: string; masterKey: string };
  assert.equal(json.id, idOf(json.masterKey));

  await t.test("on a terminal", { skip }, async () => {
    const onTerminal = async (...args: string[]) => {
      const command = [process.execPath, LAUNCHER, "master-key", "generate", ...args].join(" ");
      const child = spawn("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
        env: { ...inherited(), TERM: "xterm" },
      });
      let screen = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => (screen += text));
      return {
        status: await new Promise<number | null>((resolve) => child.on("close", resolve)),
        screen,
      };
    };
    const refused = await onTerminal();
    assert.equal(refused.status, 1);
    assert.match(refused.screen, /would show the key on the terminal/);
    assert.doesNotMatch(refused.screen, /[A-Za-z0-9+/]{43}=/);
    const asked = await onTerminal("--print");
    assert.equal(asked.status, 0);
    assert.match(asked.screen, /[A-Za-z0-9+/]{43}=/);
  });
});

it("the keys are listed, and a rotation is waited for", async (t) => {
  const { database, workspaceId, run, json, owner } = await openCli(t);
  await run(["secret", "set", "openai"], FAKE_KEY);
  const next = randomBytes(32);
  const ring = new KeyRing([
    new MasterKey(Buffer.from(next)),
    new MasterKey(Buffer.from(database.masterKey, "base64")),
  ]);
  const id = new MasterKey(next).id;
  const none = await run(["master-key", "rotate"]);
  assert.deepEqual([none.status, none.stdout], [1, ""]);
  assert.match(none.stderr, /There is no new master key/);
  const processId = newProcessId();
  await verifyMasterKeys(database.ownerUrl, ring, { processId });
  const before = await run(["master-key", "list"]);
  assert.match(before.stdout, new RegExp(`${MASTER_KEY_ID}  active {8,}3 `));
  assert.match(before.stdout, new RegExp(`${id}  not used yet {2,}0 `));

  const pool = createPool(database.controlUrl);
  const rotation = createKeyRotation({
    ...{ pool, ring, processId, clock: systemClock, log: createLog({ level: "silent" }) },
    ...{ ownerUrl: database.ownerUrl, homeId: workspaceId },
  });
  const job: Job = {
    name: "key_rotation",
    ...{ everyMs: 2000, withinMs: 60_000, by: "each process", failure: "not rotated" },
    run: (signal) => rotation.run(signal),
    last: () => rotation.close(),
  };
  const runner = createJobRunner([job], {
    ...{ log: createLog({ level: "silent" }), metrics: createMetrics() },
  });
  t.after(async () => {
    await runner.stop();
    await pool.close();
  });
  const started = (await json(["master-key", "rotate", "--to", id, "--no-wait"])) as {
    rotation: object;
  };
  assert.deepEqual(started.rotation, {
    ...{ to: id, state: "running", rewrapped: 0, left: 3, unreadable: 0 },
  });
  runner.start();
  const waited = await run(["master-key", "rotate"]); // goes on waiting for the one that runs
  assert.equal(waited.status, 0, waited.stderr);
  assert.match(waited.stderr, /^\d rewrapped, \d left$/m);
  assert.match(waited.stdout, new RegExp(`Everything is sealed under ${id}\\.\n$`));
  assert.match(waited.stdout, new RegExp(`${MASTER_KEY_ID}  no longer needed {2,}0 `));
  assert.match(waited.stdout, new RegExp(`${id}  active {8,}3 {2,}.*1 of 1 `));
  assert.equal((await run(["master-key", "rotate", "--to", "0123456789abcdef"])).status, 1);
  const [row] =
    await owner`select count(*)::int as n from x3sproxy.secret_versions where key_id = ${id}`;
  assert.equal(row?.["n"], 1);
});
