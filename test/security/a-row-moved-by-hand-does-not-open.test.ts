// Whoever can write to the database must not be able to make a key open for another workspace, secret, version or
// origin, nor to put one key in the place of another.
import assert from "node:assert/strict";
import test from "node:test";
import { SealError } from "../../src/platform/errors.ts";
import { openSecrets } from "../vault/database-fixture.ts";
import { FAKE_KEY, sent } from "../vault/fixture.ts";
import { actorIn } from "../support/actor.ts";

const anthropic = { provider: "anthropic", environment: "production" };
const OTHER = "sk-ant-api03-FAKE-another-key-0123-abcd";

type Opened = Awaited<ReturnType<typeof openSecrets>>;

const MOVES: Record<
  string,
  (o: Opened, ids: { id: string; second: string; other: string }) => Promise<unknown>
> = {
  "to another workspace": ({ owner }, { id, other }) =>
    owner.begin(async (sql) => {
      await sql`set local session_replication_role = replica`;
      await sql`update x3sproxy.secrets set workspace_id = ${other}, environment = 'moved' where id = ${id}`;
      await sql`update x3sproxy.secret_versions set workspace_id = ${other} where secret_id = ${id}`;
    }),
  "to another secret": ({ owner }, { id, second }) =>
    owner`
      update x3sproxy.secret_versions v set ciphertext = f.ciphertext, wrapped_key = f.wrapped_key
      from x3sproxy.secret_versions f
      where v.secret_id = ${second} and f.secret_id = ${id} and v.version = 2 and f.version = 2`,
  "to another version": ({ owner }, { id }) =>
    owner.begin(async (sql) => {
      await sql`update x3sproxy.secret_versions set version = 7 where secret_id = ${id} and version = 2`;
      await sql`update x3sproxy.secrets set active_version = 7 where id = ${id}`;
    }),
  "to another origin": ({ owner }, { id }) =>
    owner`update x3sproxy.secret_versions set origin = 'https://evil.example' where secret_id = ${id}`,
  "with the ciphertext of another version": ({ owner }, { id }) =>
    owner`
      update x3sproxy.secret_versions v set ciphertext = f.ciphertext from x3sproxy.secret_versions f
      where v.secret_id = ${id} and v.version = 2 and f.secret_id = ${id} and f.version = 1`,
  "with the wrapped key of another version": ({ owner }, { id }) =>
    owner`
      update x3sproxy.secret_versions v set wrapped_key = f.wrapped_key from x3sproxy.secret_versions f
      where v.secret_id = ${id} and v.version = 2 and f.secret_id = ${id} and f.version = 1`,
  "with both blobs of another version": ({ owner }, { id }) =>
    owner`
      update x3sproxy.secret_versions v set wrapped_key = f.wrapped_key, ciphertext = f.ciphertext
      from x3sproxy.secret_versions f
      where v.secret_id = ${id} and v.version = 2 and f.secret_id = ${id} and f.version = 1`,
};

for (const [name, move] of Object.entries(MOVES)) {
  test(`a key moved ${name} does not open`, async (t) => {
    const opened = await openSecrets(t);
    const { secrets, workspaceId, vault, holdFromDatabase, addWorkspace, owner } = opened;
    const other = await addWorkspace("second");
    await secrets.set(actorIn(workspaceId), { ...anthropic, value: OTHER });
    const { id } = await secrets.set(actorIn(workspaceId), { ...anthropic, value: FAKE_KEY });
    const staging = { ...anthropic, environment: "staging", value: OTHER };
    await secrets.set(actorIn(workspaceId), staging);
    const { id: second } = await secrets.set(actorIn(workspaceId), staging);
    assert.equal(sent(vault, await holdFromDatabase(id)), FAKE_KEY);
    assert.equal(sent(vault, await holdFromDatabase(second)), OTHER);

    const dump = () =>
      owner`select md5(string_agg(v::text, '|' order by v::text)) from x3sproxy.secret_versions v`;
    const before = await dump();
    await move(opened, { id, second, other });
    assert.notDeepEqual([...(await dump())], [...before], "the row was moved");

    const held = await holdFromDatabase(name === "to another secret" ? second : id);
    assert.throws(() => sent(vault, held), SealError);
  });
}
