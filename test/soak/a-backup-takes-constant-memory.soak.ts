import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { newIdentity } from "../../src/backup/index.ts";
import { withOwner } from "../../src/db/index.ts";
import { bootstrap } from "../../src/identity/index.ts";
import { createTestDatabase } from "../support/database.ts";
import { runService } from "../support/service.ts";
import { createEmptyDatabase } from "../backup/fixture.ts";
import { LAUNCHER } from "../cli/fixture.ts";

const EVENTS = 200_000;
// A tenth of what the rows take.
const HEAP = "--max-old-space-size=48";

it("a backup of 200,000 events is made and restored in constant memory", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-backup-"));
  t.after(() => rm(folder, { recursive: true }));
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const { apiKey = "", workspaceId } = await bootstrap(database.ownerUrl, { makeApiKey: true });
  await withOwner(
    database.ownerUrl,
    (sql) => sql`
      insert into x3sproxy.audit_events (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result, detail)
      select ${workspaceId}, 'service', 'test', 'test', 'secret.set', 'secret', n::text, repeat('x', 200), 'done', repeat('y', 800)
      from generate_series(1, ${EVENTS}) n`,
  );
  const service = await runService({
    database,
    apiKey,
    env: { NODE_OPTIONS: "--max-old-space-size=96" },
  });
  t.after(() => service.remove());
  const { identity, recipient } = await newIdentity();
  const file = join(folder, "backup.age");
  const run = async (args: string[], env: Record<string, string>): Promise<string> => {
    const startMs = performance.now();
    const child = spawn(process.execPath, [HEAP, LAUNCHER, ...args], {
      env: { PATH: process.env["PATH"], X3SPROXY_DATA_DIR: "/nowhere", NODE_OPTIONS: HEAP, ...env },
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (text: Buffer) => (stdout += text.toString()));
    child.stderr.on("data", (text: Buffer) => (stderr += text.toString()));
    child.stdin.end();
    await once(child, "close");
    assert.equal(child.exitCode, 0, stderr);
    t.diagnostic(`${args[0] ?? ""}: ${Math.round(performance.now() - startMs)} ms`);
    return stdout;
  };
  await run(["backup", "--output", file, "--recipient", recipient], {
    X3SPROXY_ADMIN_URL: service.adminUrl,
    X3SPROXY_API_KEY: apiKey,
  });
  t.diagnostic(`${(await stat(file)).size} bytes`);
  assert.ok((await stat(file)).size > 200_000_000);
  const keyFile = join(folder, "key.txt");
  await writeFile(keyFile, identity);
  const url = await createEmptyDatabase(t);
  const stdout = await run(["restore", file, "--identity", keyFile, "--json"], {
    DATABASE_URL: url,
    X3SPROXY_MASTER_KEY: database.masterKey,
  });
  const { audit, rows } = JSON.parse(stdout) as { audit: { problems: string[] }; rows: number };
  assert.ok(rows > EVENTS);
  assert.deepEqual(audit.problems, []);
});
