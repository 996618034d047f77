import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { openAdmin } from "../admin/fixture.ts";
import { backUp } from "../backup/fixture.ts";
import { eventually } from "../support/eventually.ts";
import { LAUNCHER, runCli } from "./fixture.ts";

it("a restore into a data folder that is interrupted leaves no Postgres running, and can be done again", async (t) => {
  const admin = await openAdmin(t);
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-interrupted-"));
  t.after(() => rm(folder, { recursive: true }));
  const { sealed, identity } = await backUp(admin);
  const [file, keyFile, fresh] = ["b.age", "key.txt", "data"].map((it) => join(folder, it)) as [
    string,
    string,
    string,
  ];
  await writeFile(file, sealed);
  await writeFile(keyFile, identity);
  await mkdir(fresh, { mode: 0o700 });
  await writeFile(join(fresh, "master.key"), admin.database.masterKey, { mode: 0o600 });
  const { HOME = "", PATH } = process.env;
  const environment = { X3SPROXY_DATA_DIR: fresh, HOME };
  const args = ["restore", file, "--identity", keyFile];

  const child = spawn(process.execPath, [LAUNCHER, ...args], { env: { PATH, ...environment } });
  const ended = once(child, "close");
  const pid = await eventually(async () => {
    const text = await readFile(join(fresh, "postgres", "postmaster.pid"), "utf8").catch(() => "");
    return Number(text.split("\n", 1)[0]) || undefined;
  });
  child.kill("SIGTERM");
  assert.deepEqual(await ended, [128 + constants.signals.SIGTERM, null]);
  await eventually(() => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  });

  const again = await runCli(args, { environment });
  assert.equal(again.status, 0, again.stderr);
  assert.match(again.stdout, /The audit holds/);
});
