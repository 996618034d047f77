// One Postgres for the whole test run, with a migrated template database that every test database is cloned from; and
// the dashboard, built as the service serves it.
import { execFile } from "node:child_process";
import { mkdtemp, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { migrate, type Sql } from "../../src/db/index.ts";
import { startEmbedded } from "../../src/db/embedded.ts";
import { withOwner } from "../../src/db/connection.ts";
import { createLog } from "../../src/platform/log.ts";
import { SERVER_VARIABLE, TEMPLATE, urlOfDatabase } from "./database.ts";

const BUILD = fileURLToPath(new URL("../../src/dashboard/build.ts", import.meta.url));
// Nothing here outlives the run, so nothing has to survive a crash.
const FAST = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  max_connections: "300",
  max_wal_size: "128MB",
};
// Where there is memory for it: making a database costs a twentieth there of what it costs on most disks.
const MEMORY = "/dev/shm";
const ENOUGH_BYTES = 2 * 1024 ** 3;

let stop: (() => Promise<void>) | undefined;

export async function globalSetup(): Promise<void> {
  // In a process of its own: the bundler sets NODE_ENV, which the tests' programs would inherit.
  await promisify(execFile)(process.execPath, [BUILD], {
    env: { ...process.env, NODE_ENV: "production" },
  });
  const dataDir = await mkdtemp(join(await scratchFolder(), "x3sproxy-test-"));
  const server = await startEmbedded({
    dataDir,
    log: createLog({ level: "error" }),
    settings: FAST,
  });
  stop = async () => {
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
  await withOwner(server.ownerUrl, async (sql: Sql) => sql`create database ${sql(TEMPLATE)}`);
  await migrate(urlOfDatabase(server.ownerUrl, TEMPLATE));
  process.env[SERVER_VARIABLE] = server.ownerUrl;
  // A file of tests, or a program that it starts, spends half of its start on compiling what others have compiled.
  process.env["NODE_COMPILE_CACHE"] ??= join(dataDir, "compiled");
}

export async function globalTeardown(): Promise<void> {
  await stop?.();
}

async function scratchFolder(): Promise<string> {
  try {
    const { bavail, bsize } = await statfs(MEMORY);
    if (bavail * bsize >= ENOUGH_BYTES) return MEMORY;
  } catch {
    // There is none.
  }
  return tmpdir();
}
