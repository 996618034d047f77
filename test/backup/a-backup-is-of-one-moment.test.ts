import assert from "node:assert/strict";
import { it } from "node:test";
import { newIdentity, openStream } from "../../src/backup/index.ts";
import { openAdmin } from "../admin/fixture.ts";
import { takeApart } from "./fixture.ts";

it("a backup is of one moment, whatever changes while it is read", async (t) => {
  const admin = await openAdmin(t);
  const { owner, workspaceId } = admin;
  // More than fits between the database and a reader that waits.
  await owner`
    insert into x3sproxy.activity_calls
    select ${workspaceId}, gen_random_uuid(), now(), 'openai', 'POST', repeat('/FAKE', 40), '192.0.2.1', 1
    from generate_series(1, 20000)`;
  const { identity, recipient } = await newIdentity();
  const response = await fetch(`${admin.url}/api/v1/backups`, {
    method: "POST",
    headers: { authorization: `Bearer ${admin.apiKey}`, "content-type": "application/json" },
    body: JSON.stringify({ recipients: [recipient] }),
  });
  assert.equal(response.status, 200);
  let changes = 0;
  const change = (): Promise<unknown> =>
    owner.begin(async (sql) => {
      const n = ++changes;
      await sql`insert into x3sproxy.workspaces (id, name) values (gen_random_uuid(), ${`later-${n}`})`;
      await sql`update x3sproxy.activity_calls set requests = requests + 1`;
      await sql`delete from x3sproxy.api_keys where name = 'never'`;
    });
  async function* read(): AsyncGenerator<Uint8Array> {
    let pieces = 0;
    for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) {
      if (pieces++ % 40 === 0 && changes < 3) await change();
      yield piece;
    }
  }
  const { tables, header, rows } = await takeApart(() =>
    openStream(read(), { identities: [identity] }),
  );
  assert.equal(changes, 3);
  assert.equal(tables.get("workspaces")?.length, 1);
  const calls = tables.get("activity_calls") ?? [];
  assert.equal(calls.length, 20_000);
  assert.ok(calls.every((line) => line.endsWith("\t1")));
  assert.equal(
    rows,
    header.tables.reduce((sum, table) => sum + table.rows, 0),
  );
  // The backup holds its own beginning, and its end is told afterwards.
  const own = tables.get("audit_events")?.filter((line) => line.includes("backup.create")) ?? [];
  assert.equal(own.length, 1);
  assert.ok(own[0]?.includes("\tbegun\t"));
});
