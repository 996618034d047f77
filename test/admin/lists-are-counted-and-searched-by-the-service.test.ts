// What a page says of a list as a whole comes from the service: how many there are, which agents lose a key, what fits a search.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { createTestDatabase } from "../support/database.ts";
import { FAKE_KEY, stringAt, type Answer } from "./fixture.ts";
import { openPeople } from "./people.ts";

const AGENTS = 250;
const VERSIONS = 5;

test("lists are counted and searched by the service", async (t) => {
  const database = await createTestDatabase();
  const { first, workspaceId } = await openPeople(t, { database });
  const get = async (path: string): Promise<Answer> => {
    const answer = await first.call("GET", path);
    assert.equal(answer.status, 200, `${path}: ${answer.text}`);
    return answer;
  };
  const put = await first.call("PUT", "/secrets", {
    ...{ provider: "openai", environment: "staging", value: FAKE_KEY, label: "Team ACCOUNT" },
  });
  const id = stringAt(put, "secret", "id");
  for (const environment of ["production", "test"]) {
    await first.call("PUT", "/secrets", { provider: "openai", environment, value: FAKE_KEY });
  }
  for (let n = 0; n < 3; n++) {
    await first.call("POST", "/invitations", { email: `i${n}@example.test`, role: "viewer" });
  }
  // Of each ten: nine in production, one in staging; of those in staging each second may not use openai.
  await withOwner(database.ownerUrl, async (sql) => {
    await sql`
      insert into x3sproxy.agents (id, workspace_id, name, environment, providers)
      select gen_random_uuid(), ${workspaceId}, 'agent-' || lpad(n::text, 3, '0'),
        case when n % 10 = 0 then 'staging' else 'production' end,
        case when n % 20 = 0 then array['anthropic'] end
      from generate_series(1, ${AGENTS}) n`;
    await sql`
      insert into x3sproxy.activity_agents (workspace_id, agent_id, provider, deployment, last_used_at)
      select workspace_id, id, 'gemini', 1, now() from x3sproxy.agents where name like '%7'`;
    await sql`
      insert into x3sproxy.activity_versions
      select ${workspaceId}, ${id}, version, name, now(), now(), 1
      from x3sproxy.agents, generate_series(1, ${VERSIONS}) version`;
  });

  await t.test("how many there are stands with the first page, and with no other", async () => {
    const page = await get("/agents");
    assert.equal((page.body["agents"] as unknown[]).length, 100);
    assert.equal(page.body["total"], AGENTS);
    const next = await get(`/agents?cursor=${stringAt(page, "nextCursor")}`);
    assert.equal(next.body["total"], null);
    for (const [path, total] of [
      ["/secrets?limit=1", 3],
      ["/invitations?limit=1", 3],
      ["/users?limit=1", 1],
      ["/users", 1],
      ["/agents?limit=1&environment=staging", 25],
    ] as const) {
      assert.equal((await get(path)).body["total"], total, path);
    }
  });
  await t.test("which agents may use a key, and which have used a provider", async () => {
    const staging = await get("/agents?environment=staging&mayUse=openai&limit=10");
    assert.equal(staging.body["total"], 13);
    assert.equal((await get("/agents?used=gemini&limit=200")).body["total"], AGENTS / 10);
    assert.equal((await get("/agents?used=openai")).body["total"], 0);
  });
  await t.test("a search finds parts of names, environments and labels, in any case", async () => {
    const names = async (path: string, list: string, name: string) =>
      ((await get(path)).body[list] as Record<string, string>[]).map((row) => row[name]);
    assert.deepEqual(await names("/agents?query=T-24", "agents", "name"), [
      ...["agent-240", "agent-241", "agent-242", "agent-243", "agent-244"],
      ...["agent-245", "agent-246", "agent-247", "agent-248", "agent-249"],
    ]);
    assert.equal((await get("/agents?query=stagin&limit=1")).body["total"], 25);
    assert.equal((await get("/agents?query=%25")).body["total"], 0, "no pattern of SQL");
    assert.equal((await get("/agents?query=24%20stagin&limit=1")).body["total"], 1);
    for (const query of ["account", "Stag", "team", "openai/staging", "Open staging team"]) {
      assert.deepEqual(await names(`/secrets?query=${query}`, "secrets", "id"), [id], query);
    }
    await first.call("PUT", "/secrets", {
      ...{
        provider: "huggingface",
        environment: "test",
        value: "hf_FAKE_key_of_this_test",
        skipTest: true,
      },
    });
    const titled = "/secrets?query=Hugging%20Face%20test";
    assert.deepEqual(await names(titled, "secrets", "provider"), ["huggingface"]);
    const of = "/secrets?provider=openai&environment=test";
    assert.deepEqual(await names(of, "secrets", "environment"), ["test"]);
  });
  await t.test("one key is shown by itself", async () => {
    const { body } = await get(`/secrets/${id}`);
    assert.deepEqual(body["secret"], put.body["secret"]);
    const missing = await first.call("GET", "/secrets/00000000-0000-4000-8000-000000000000");
    assert.deepEqual([missing.status, missing.body["code"]], [404, "secret_not_found"]);
  });
  await t.test("all who use a key are listed, however many", async () => {
    const seen = new Set<string>();
    let versions: number[] = [];
    for (let query = "?limit=200"; ;) {
      const page = await get(`/secrets/${id}/use${query}`);
      const rows = page.body["use"] as { version: number; agent: string }[];
      for (const { version, agent } of rows) seen.add(`${version} ${agent}`);
      versions = [...versions, ...rows.map(({ version }) => version)];
      if (page.body["nextCursor"] === null) break;
      query = `?limit=200&cursor=${stringAt(page, "nextCursor")}`;
    }
    assert.equal(seen.size, AGENTS * VERSIONS);
    assert.equal(versions.length, AGENTS * VERSIONS);
    assert.deepEqual(
      versions,
      versions.toSorted((a, b) => b - a),
    );
  });
});
