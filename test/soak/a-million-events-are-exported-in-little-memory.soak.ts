// A million events, sealed by the service itself, exported and verified by the command line: each process with a heap that couldn't
// hold a tenth of them. Takes some minutes; stops by itself.
import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import postgres from "postgres";
import { runCli } from "../cli/fixture.ts";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService } from "../support/service.ts";

const EVENTS = 1_000_000;
const SEALED_WITHIN_MS = 15 * 60_000;

test("a million events", { timeout: 25 * 60_000 }, async (t) => {
  const database = await createTestDatabase();
  const owner = postgres(database.ownerUrl, { max: 1, onnotice: () => undefined });
  const service = await runService({
    database,
    env: { NODE_OPTIONS: "--max-old-space-size=128" },
  });
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-million-"));
  t.after(async () => {
    await service.remove();
    await owner.end();
    await database.drop();
    await rm(folder, { recursive: true });
  });
  await owner`
    insert into x3sproxy.audit_events (workspace_id, actor_kind, actor_id, actor_name, address, method, action, target_kind, target_id, target_name, result)
    select id, 'agent', gen_random_uuid(), 'coder', '192.0.2.7', 'token', 'secret.release', 'secret', n::text, 'openai/production', 'done'
    from x3sproxy.workspaces, generate_series(1, ${EVENTS}) n where home`;
  await eventually(async () => {
    const [row] = await owner`select from x3sproxy.audit_pending limit 1`;
    return row === undefined;
  }, SEALED_WITHIN_MS);
  const file = join(folder, "audit.jsonl");
  const environment = {
    X3SPROXY_ADMIN_URL: service.adminUrl,
    X3SPROXY_API_KEY: service.apiKey,
    NODE_OPTIONS: "--max-old-space-size=48",
  };
  const exported = await runCli(["audit", "export", "--output", file], { environment });
  assert.equal(exported.status, 0, exported.stderr);
  t.diagnostic(`${(await stat(file)).size} bytes`);
  const verified = await runCli(["audit", "verify", file, "--json"], { environment });
  assert.equal(verified.status, 0, verified.stderr);
  const { events } = JSON.parse(verified.stdout) as { events: number };
  assert.ok(events >= EVENTS, String(events));
});
