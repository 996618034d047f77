import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { newIdentity } from "../../src/backup/index.ts";
import { eventually } from "../support/eventually.ts";
import { LAUNCHER, openCli, runCli } from "./fixture.ts";

it("a backup's file is whole or not there, and nothing else is written to", async (t) => {
  const { run, environment, owner } = await openCli(t);
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-backup-file-"));
  t.after(() => rm(folder, { recursive: true }));
  const { recipient } = await newIdentity();
  const backUp = (file: string) => run(["backup", "--output", file, "--recipient", recipient]);

  await t.test("a folder that isn't there is noticed before a backup is begun", async () => {
    const { status, stderr } = await backUp(join(folder, "none", "x.age"));
    assert.equal(status, 1);
    assert.match(stderr, /can't be written \(ENOENT\)/);
    const events = await owner`select from x3sproxy.audit_events where action = 'backup.create'`;
    assert.equal(events.count, 0);
  });

  await t.test("a disk that is full in the middle of the last piece", async () => {
    const file = join(folder, "full.age");
    // Of 512 or 1024 bytes each; the whole has about 11 KB.
    const command = `ulimit -f 10; exec "$0" "$@"`;
    const args = ["-c", command, process.execPath, LAUNCHER];
    const child = spawn("sh", [...args, "backup", "--output", file, "--recipient", recipient], {
      env: { PATH: process.env["PATH"], X3SPROXY_DATA_DIR: "/nowhere", ...environment },
    });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const [status] = (await once(child, "close")) as [number | null];
    assert.equal(status, 1);
    assert.match(stderr, /can't be written \(EFBIG\)/);
    assert.deepEqual(await readdir(folder), []);
  });

  await t.test("a link, a device or a folder is named and left as it is", async () => {
    const target = join(folder, "target");
    await writeFile(target, "mine");
    await symlink(target, join(folder, "link"));
    await mkdir(join(folder, "folder"));
    for (const name of ["link", "folder"]) {
      const { status, stderr } = await backUp(join(folder, name));
      assert.equal(status, 1);
      assert.match(stderr, /is no plain file/);
    }
    assert.ok((await lstat(join(folder, "link"))).isSymbolicLink());
    assert.equal(await readFile(target, "utf8"), "mine");
  });

  await t.test("what is there is replaced, for its owner alone", async () => {
    const file = join(folder, "there.age");
    await writeFile(file, "old", { mode: 0o644 });
    assert.equal((await backUp(file)).status, 0);
    const { mode, size } = await stat(file);
    assert.equal(mode & 0o777, 0o600);
    assert.ok(size > 5000);
  });

  await t.test("whoever interrupts it leaves nothing behind", async (t) => {
    // Never ends what it begins.
    const silent = createServer((_request, response) => {
      response.writeHead(200, { "content-type": "application/octet-stream" });
      response.write("age-encryption.org/v1\n");
    }).listen(0, "127.0.0.1");
    await once(silent, "listening");
    t.after(() => {
      silent.closeAllConnections();
      silent.close();
    });
    const { port } = silent.address() as { port: number };
    const inside = join(folder, "interrupted");
    await mkdir(inside);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      const child = spawn(
        process.execPath,
        [LAUNCHER, "backup", "--output", join(inside, "x.age"), "--recipient", recipient],
        {
          env: {
            ...{ PATH: process.env["PATH"], X3SPROXY_DATA_DIR: "/nowhere" },
            ...{ ...environment, X3SPROXY_ADMIN_URL: `http://127.0.0.1:${port}` },
          },
        },
      );
      await eventually(async () => (await readdir(inside)).length === 1);
      child.kill(signal);
      const [, by] = (await once(child, "close")) as [null, string];
      assert.equal(by, signal);
      assert.deepEqual(await readdir(inside), []);
    }
  });

  await t.test("a service that isn't there leaves nothing behind", async () => {
    const file = join(folder, "away.age");
    const away = { ...environment, X3SPROXY_ADMIN_URL: "http://127.0.0.1:1" };
    const args = ["backup", "--output", file, "--recipient", recipient];
    const { status, stderr } = await runCli(args, { environment: away });
    assert.equal(status, 1);
    assert.match(stderr, /does not answer/);
    assert.ok(!(await readdir(folder)).some((name) => name.includes("away")));
  });
});
