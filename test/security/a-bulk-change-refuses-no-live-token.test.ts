// A workspace with 2,000 agents gets another key: none of them is remembered any more, and each needs a release. All call at once, and
// all are answered, while 150 strangers try to get in between.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { hashBearer, newBearer, PROXY_TOKEN_PREFIX } from "../../src/platform/ids.ts";
import { OK } from "../support/attack.ts";
import { openDataPlane, type DataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createCaller, createStrangers } from "../support/strangers.ts";
import { createCannedUpstream } from "../support/wire.ts";

const AGENTS = 2_000;
const STRANGERS = 150;
// Fewer than a listener keeps waiting for its accept, in one process with it.
const CONNECTIONS = 400;

/** Deploys so many agents in one statement; gives their tokens. */
async function deployMany({ ownerUrl, workspaceId }: DataPlane, count: number): Promise<string[]> {
  const tokens = Array.from({ length: count }, () => newBearer(PROXY_TOKEN_PREFIX));
  const hashes = tokens.map((token) => hashBearer(token));
  await withOwner(
    ownerUrl,
    (sql) => sql`
      with wanted as (
        select decode(hash, 'hex') as hash, gen_random_uuid() as id, 'many-' || n as name
        from unnest(${hashes}::text[]) with ordinality as h (hash, n)
      ), made as (
        insert into x3sproxy.agents (id, workspace_id, name, environment, deployments, deployed_at)
        select id, ${workspaceId}, name, 'production', 1, now() from wanted returning id
      )
      insert into x3sproxy.proxy_tokens (hash, workspace_id, agent_id, deployment, created_at)
      select w.hash, ${workspaceId}, w.id, 1, now() from wanted w join made m on m.id = w.id`,
  );
  return tokens;
}

async function open(t: TestContext) {
  const upstream = await createCannedUpstream(OK);
  t.after(() => upstream.close());
  const plane = await openDataPlane(t, { env: { X3SPROXY_ORIGIN_OPENAI: upstream.origin } });
  await plane.save("openai");
  return plane;
}

test("2,000 agents at once after a change of their key are all answered", async (t) => {
  const plane = await open(t);
  const tokens = await deployMany(plane, AGENTS);
  const caller = createCaller(plane.port, CONNECTIONS);
  t.after(() => caller.close());
  const callAll = async (): Promise<Record<string, number>> => {
    const answers: Record<string, number> = {};
    for (const answer of await Promise.all(tokens.map((token) => caller.call(token)))) {
      answers[answer] = (answers[answer] ?? 0) + 1;
    }
    return answers;
  };
  assert.deepEqual(await callAll(), { 200: AGENTS }, "at their first use");
  const strangers = createStrangers(plane.port, STRANGERS);
  await eventually(() => Object.values(strangers.answers).some((count) => count > STRANGERS));
  await plane.save("openai", "sk-FAKE-another-key-0123456789-abcdefghij");
  assert.deepEqual(await callAll(), { 200: AGENTS });
  await strangers.stop();
  assert.ok((strangers.answers["401 unknown_token"] ?? 0) > STRANGERS);
  assert.equal(strangers.answers["503 overloaded"], undefined);
  const [row] = await withOwner(
    plane.ownerUrl,
    (sql) => sql<{ releases: number }[]>`
      select count(*)::int as releases from x3sproxy.audit_events
      where action = 'secret.release' and detail like '%"version":2%'`,
  );
  // Calls that came before the news of the change still had the key before.
  assert.ok((row?.releases ?? 0) > AGENTS / 2, `the change was a change for ${row?.releases}`);
});
