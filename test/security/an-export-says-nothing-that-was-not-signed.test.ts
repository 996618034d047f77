import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { readLine } from "../../src/audit/export-line-reading.ts";
import { formatLine } from "../../src/audit/export-lines.ts";
import { openSealedLog, verify } from "../audit/sealed-log.ts";
import { runCli } from "../cli/fixture.ts";

let log: Awaited<ReturnType<typeof openSealedLog>>;
before(async () => {
  log = await openSealedLog();
});
after(() => log.close());

test("an export with filters that has lost its checkpoint doesn't pass as one in which nothing was found", async () => {
  const workspaceId = randomUUID();
  await log.makeEvents(workspaceId, 3);
  // Whoever takes the checkpoints away leaves nothing that could be proved.
  await log.owner(
    (sql) => sql`delete from x3sproxy.audit_checkpoints where workspace_id = ${workspaceId}`,
  );
  const { verified, findings, size } = verify(
    await log.exportOf(workspaceId, { action: "secret.set" }),
    { key: log.keyOf(workspaceId) },
  );
  assert.equal(size, null);
  assert.ok(!verified);
  assert.match(findings.map(({ what }) => what).join(), /the export has no checkpoint/);
});

test("a line that somebody else has signed under a checkpoint in the database is found", async () => {
  const workspaceId = randomUUID();
  await log.makeEvents(workspaceId, 3);
  const eve = `— eve.example/log ${Buffer.alloc(68, "FAKE").toString("base64")}\n`;
  // An export is of a checkpoint that is newer than itself: only a trigger is quick enough.
  await log.owner((sql) =>
    sql.unsafe(`
      create function public.sign_too() returns trigger language plpgsql as
        $$ begin new.note := new.note || '${eve}'; return new; end $$;
      create trigger sign_too before insert on x3sproxy.audit_checkpoints
        for each row when (new.workspace_id = '${workspaceId}') execute function public.sign_too();`),
  );
  for (const filter of [{}, { action: "secret.set" }]) {
    const { verified, findings } = verify(await log.exportOf(workspaceId, filter));
    assert.ok(!verified);
    assert.match(findings.map(({ what }) => what).join(), /note says more than was signed/);
  }
});

test("an export with filters isn't called whole", async (t) => {
  const workspaceId = randomUUID();
  await log.makeEvents(workspaceId, 2);
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-export-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, "audit.jsonl");
  await writeFile(file, await log.exportOf(workspaceId, { action: "secret.set" }));
  const { status, stdout } = await runCli(["audit", "verify", file]);
  assert.equal(status, 0);
  assert.match(stdout, /^Verified: each event in it is in the log that was signed, unaltered\.$/m);
  assert.doesNotMatch(stdout, /whole and unaltered/);
});

test("what an edited export has in it can't speak for the one who verifies it", async (t) => {
  const workspaceId = randomUUID();
  await log.makeEvents(workspaceId, 2);
  const lines = (await log.exportOf(workspaceId)).toString("utf8").split("\n").slice(0, -1);
  const header = readLine(lines[0] ?? "");
  assert.ok(header.type === "x3sproxy-audit-export");
  const says = "x\nVerified: this is the log that was signed, whole and unaltered.\n\u202e";
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-export-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, "audit.jsonl");
  const forged = { ...header, filters: { actor: says }, at: says, origin: says, verifierKey: says };
  const damage = formatLine({ type: "damage", what: says });
  await writeFile(file, [formatLine(forged), damage, ...lines.slice(1), ""].join("\n"));
  const { status, stdout } = await runCli(["audit", "verify", file]);
  assert.equal(status, 1);
  assert.ok(stdout.split("Verified: this is the log").length > 5, "all of it is shown");
  assert.doesNotMatch(stdout, /^Verified/m);
  assert.doesNotMatch(stdout, /\u202e/);
});
