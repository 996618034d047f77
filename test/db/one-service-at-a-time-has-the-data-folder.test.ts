import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { afterEach, beforeEach, test } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { ConfigError } from "../../src/platform/errors.ts";
import { eventually } from "../support/eventually.ts";
import {
  isAlive,
  newDataDir,
  postmasterPid,
  startElsewhere,
  type DataDir,
} from "./embedded-fixture.ts";

let folder: DataDir;
let dataDir: string;
beforeEach(async () => {
  folder = await newDataDir();
  dataDir = folder.dataDir;
});
afterEach(() => folder.remove());

const refusedNaming = (pid: number | undefined) => (error: unknown) => {
  assert.ok(error instanceof ConfigError, String(error));
  assert.match(
    error.message,
    new RegExp(`in use by the service with process id ${String(pid)}\\.`),
  );
  return true;
};

test("a second service is refused with the process id of the first, which goes on", async () => {
  const first = await startElsewhere(dataDir);
  await assert.rejects(folder.start(), refusedNaming(first.child.pid));
  await withOwner(first.ownerUrl, (sql) => sql`select 1`);
  const pid = await postmasterPid(dataDir);
  await first.end("SIGTERM");
  assert.ok(!isAlive(pid));
  await (await folder.start()).stop();
});

test("a second one in the same process is refused as well", async () => {
  const first = await folder.start();
  await assert.rejects(folder.start(), refusedNaming(process.pid));
  await first.stop();
});

test("of many that start together exactly one gets it", async () => {
  const started = await Promise.allSettled(Array.from({ length: 6 }, () => folder.start()));
  const servers = started.filter((result) => result.status === "fulfilled");
  assert.equal(servers.length, 1);
  await servers[0]?.value.stop();
});

test("a server that outlived its killed service is stopped, and its data are there", async () => {
  const killed = await startElsewhere(dataDir);
  await withOwner(killed.ownerUrl, (sql) => sql`create table kept (a int)`);
  const orphan = await postmasterPid(dataDir);
  await killed.end("SIGKILL");
  assert.ok(isAlive(orphan), "the server outlives its service");
  const next = await folder.start();
  assert.ok(!isAlive(orphan));
  await withOwner(next.ownerUrl, (sql) => sql`select from kept`);
  await next.stop();
});

test("a process id file that names a stranger by now harms neither", async () => {
  const elsewhere = await newDataDir();
  const otherServer = await startElsewhere(elsewhere.dataDir);
  const killed = await startElsewhere(dataDir);
  const orphan = await postmasterPid(dataDir);
  await killed.end("SIGKILL");
  process.kill(orphan, "SIGKILL");
  await eventually(() => !isAlive(orphan));
  const file = `${dataDir}/postgres/postmaster.pid`;
  const otherPid = otherServer.child.pid;
  assert.ok(otherPid !== undefined);
  await writeFile(file, (await readFile(file, "utf8")).replace(String(orphan), String(otherPid)));
  const next = await folder.start();
  assert.ok(isAlive(otherPid));
  await next.stop();
  await otherServer.end("SIGTERM");
  await elsewhere.remove();
});
