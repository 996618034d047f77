import assert from "node:assert/strict";
import { test } from "node:test";
import { createPool } from "../../src/db/index.ts";
import { ended } from "../support/activity.ts";
import { openActivity } from "./fixture.ts";

interface Part {
  pruned: number;
  workspace: string | null;
  id: string | null;
}

test("a part takes 5,000 rows of one place at most, holds up no call, and the next one goes on there", async (t) => {
  const { database, owner, workspaceId, agent, addWorkspace, openRecorder, written } =
    await openActivity(t);
  const workspaces = [workspaceId, await addWorkspace("second"), await addWorkspace("third")];
  await owner`
    insert into x3sproxy.activity_minutes
    select w, date_trunc('minute', now()) - case when n <= 6000 then interval '36 days' else interval '20 days' end - n * interval '1 minute', 'worker', 'openai',
      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    from generate_series(1, 7000) n, unnest(${workspaces}::uuid[]) w`;
  await owner`
    insert into x3sproxy.activity_versions
    select ${workspaceId}, md5(n::text)::uuid, 1, 'worker', now(), now() - interval '1 day' * (n % 2 * 40), 1
    from generate_series(1, 1200) n`;
  const pool = createPool(database.controlUrl);
  t.after(() => pool.close());
  const prune = async (table: string, after: Omit<Part, "pruned">): Promise<Part> => {
    const [part] = await pool.query(
      (sql) => sql<Part[]>`
        select pruned::float8, at_workspace as workspace, at_id as id
        from x3sproxy.prune_activity(${table}, ${after.workspace}, ${after.id})`,
    );
    assert.ok(part !== undefined);
    return part;
  };
  const runOf = async (table: string): Promise<Part[]> => {
    const parts: Part[] = [];
    let place: Omit<Part, "pruned"> = { workspace: null, id: null };
    do {
      const part = await prune(table, place);
      parts.push(part);
      place = part;
    } while (place.workspace !== null || parts.at(-1)?.pruned !== 0);
    return parts;
  };
  const minutes = await runOf("activity_minutes");
  assert.deepEqual(
    minutes.map(({ pruned }) => pruned),
    [5000, 1000, 5000, 1000, 5000, 1000, 0],
  );
  assert.equal((await owner`select from x3sproxy.activity_minutes`).length, 3000);
  const versions = await runOf("activity_versions");
  assert.equal(
    versions.reduce((sum, { pruned }) => sum + pruned, 0),
    600,
  );
  assert.ok(versions.every(({ pruned }) => pruned <= 1));
  assert.equal((await owner`select from x3sproxy.activity_versions`).length, 600);

  // A call is written while a part is still open.
  await owner.begin(async (sql) => {
    await sql`
      insert into x3sproxy.activity_minutes
      select ${workspaceId}, now() - interval '40 days', 'worker', 'openai', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0`;
    await sql`select x3sproxy.prune_activity('activity_minutes', null, null)`;
    const recorder = openRecorder();
    recorder.add([ended(agent, { endedAtMs: Date.now() })]);
    await recorder.close();
    assert.equal(await written(), 1, "nothing of a call waits for it");
    assert.equal((await prune("activity_minutes", { workspace: null, id: null })).pruned, 0);
  });
  await assert.rejects(prune("workspaces", { workspace: null, id: null }), { code: "22023" });
});
