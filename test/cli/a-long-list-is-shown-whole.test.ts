import assert from "node:assert/strict";
import { it } from "node:test";
import { FAKE_KEY } from "../admin/fixture.ts";
import { openCli } from "./fixture.ts";

const COUNT = 250;

it("lists follow the pages, and what stands on a later page is found", async (t) => {
  const { json, run, owner, workspaceId, call } = await openCli(t);
  await owner`
    insert into x3sproxy.agents (id, workspace_id, name, environment, deployments)
    select gen_random_uuid(), ${workspaceId}, 'agent-' || n, 'production', 1 from generate_series(1, ${COUNT}) n`;
  const agents = (await json(["agent", "list"])) as { name: string }[];
  assert.equal(new Set(agents.map(({ name }) => name)).size, COUNT);
  assert.equal((await run(["agent", "env", "agent-99"])).status, 0);

  await call("PUT", "/api/v1/secrets", { provider: "openai", value: FAKE_KEY });
  await owner.begin(async (sql) => {
    for (let n = 0; n < COUNT; n++) {
      const [row] = await sql<{ id: string }[]>`
        insert into x3sproxy.secrets (id, workspace_id, provider, environment, active_version)
        values (gen_random_uuid(), ${workspaceId}, 'anthropic', ${`e${n}`}, 1) returning id`;
      await sql`
        insert into x3sproxy.secret_versions
          (secret_id, workspace_id, version, origin, key_id, wrapped_key, ciphertext, mask)
        select ${row?.id ?? ""}, workspace_id, 1, origin, key_id, wrapped_key, ciphertext, mask
        from x3sproxy.secret_versions where workspace_id = ${workspaceId} limit 1`;
    }
  });
  const secrets = (await json(["secret", "list"])) as unknown[];
  assert.equal(secrets.length, COUNT + 1);
  assert.equal((await run(["secret", "delete", "openai", "--yes"])).status, 0);
});
