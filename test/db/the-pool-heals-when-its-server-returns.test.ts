import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startEmbedded } from "../../src/db/embedded.ts";
import { createPool } from "../../src/db/index.ts";
import { StoreUnavailableError } from "../../src/platform/errors.ts";
import { createLog } from "../../src/platform/log.ts";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { createTcpGate } from "../support/tcp-gate.ts";

test("a server that is killed is started again, and the pool works again within 10 s", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "x3sproxy-heal-"));
  const server = await startEmbedded({ dataDir, log: createLog({ level: "silent" }) });
  const pool = createPool(server.ownerUrl);
  try {
    await pool.query((sql) => sql`create table kept (a int)`);
    const pidFile = await readFile(join(dataDir, "postgres", "postmaster.pid"), "utf8");
    const killedMs = performance.now();
    process.kill(Number(pidFile.split("\n", 1)[0]), "SIGKILL");
    await assert.rejects(
      eventually(async () => {
        await pool.query((sql) => sql`select 1`);
      }),
      StoreUnavailableError,
    );
    await eventually(() =>
      pool
        .query((sql) => sql`select from kept`)
        .then(
          () => true,
          (error: unknown) => {
            assert.ok(error instanceof StoreUnavailableError, String(error));
            return false;
          },
        ),
    );
    assert.ok(performance.now() - killedMs < 10_000);
  } finally {
    await pool.close();
    await server.stop();
    await rm(dataDir, { recursive: true });
  }
});

test("after a longer absence under load, the pool works within a second of the return", async () => {
  const database = await createTestDatabase();
  const gate = await createTcpGate(database.proxyUrl);
  const pool = createPool(gate.url, { deadlineMs: 500 });
  const works = (): Promise<boolean> =>
    pool
      .query((sql) => sql`select 1`)
      .then(
        () => true,
        (error: unknown) => {
          assert.ok(error instanceof StoreUnavailableError, String(error));
          return false;
        },
      );
  try {
    for (const mode of ["refuse", "hang-up", "silent"] as const) {
      assert.ok(await works());
      await gate.set(mode);
      const untilMs = performance.now() + 2000;
      while (performance.now() < untilMs) {
        assert.deepEqual(
          new Set(await Promise.all(Array.from({ length: 8 }, works))),
          new Set([false]),
        );
        await new Promise((resolve) => setImmediate(resolve));
      }
      await gate.set("open");
      await eventually(works, 1500);
    }
  } finally {
    await pool.close();
    await gate.close();
    await database.drop();
  }
});
