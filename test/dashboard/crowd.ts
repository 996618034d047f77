// A workspace with more of everything than one page of a list holds, put beside the service; keys through the API, which seals them.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { openBrowser } from "../support/browser.ts";
import { createTestDatabase } from "../support/database.ts";
import { runService } from "../support/service.ts";
import { OWNER, send } from "./workspace.ts";

export const CROWD = { agents: 250, secrets: 150, users: 120 } as const;
/** The key that stands last in its list, and is the one of all agents but ten. */
export const LAST = { provider: "openai", environment: "env-149" } as const;

/** An owner who is signed in, at the overview. */
export async function openCrowd(t: TestContext) {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const service = await runService({ database });
  t.after(() => service.remove());
  const token = /\/setup#token=(\w+)/.exec(service.output.stderr)?.[1];
  await send({ ...service, apiKey: "" }, "POST", "/setup", { token, ...OWNER });
  await send(service, "PUT", "/providers/gateway", { origin: "https://llm.example.test" });
  const ids: string[] = [];
  for (let n = 0; n < CROWD.secrets; n++) {
    const { secret } = await send(service, "PUT", "/secrets", {
      ...{ provider: "openai", environment: `env-${String(n).padStart(3, "0")}` },
      value: `sk-proj-FAKE-of-the-dashboards-tests-${n}`,
    });
    ids.push((secret as { id: string }).id);
  }
  const lastId = ids.at(-1) ?? "";
  await fill(database.ownerUrl, lastId);
  const browser = await openBrowser(t);
  const watched = await browser.open(`${service.adminUrl}/sign-in`);
  const { page } = watched;
  await page.getByLabel("E-mail").fill(OWNER.email);
  await page.getByLabel("Password").fill(OWNER.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  return { watched, page, lastId, at: (path: string) => service.adminUrl + path };
}

async function fill(ownerUrl: string, secretId: string): Promise<void> {
  await withOwner(ownerUrl, async (sql) => {
    const [workspace] = await sql<{ id: string }[]>`select id from x3sproxy.workspaces`;
    assert.ok(workspace !== undefined);
    const { id } = workspace;
    const { agents, users } = CROWD;
    await sql`
      insert into x3sproxy.agents (id, workspace_id, name, environment, deployments, created_at, deployed_at)
      select gen_random_uuid(), ${id}, 'agent-' || lpad(n::text, 3, '0'),
        case when n < 10 then 'elsewhere' else ${LAST.environment} end, 1, now() - interval '60 days',
        now() - interval '60 days'
      from generate_series(0, ${agents - 1}) n`;
    await sql`
      insert into x3sproxy.activity_agents (workspace_id, agent_id, provider, deployment, last_used_at)
      select workspace_id, id, 'gateway', 1, now() - interval '50 days' from x3sproxy.agents
      where environment <> 'elsewhere'`;
    await sql`
      insert into x3sproxy.activity_versions
      select ${id}, ${secretId}, 1, name, now() - interval '3 days', now() - interval '2 hours', 7
      from x3sproxy.agents where name > 'agent-129'`;
    await sql`
      insert into x3sproxy.activity_minutes
      select ${id}, date_trunc('minute', now()) - interval '1 hour', name, 'openai', 10, 10, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 0
      from x3sproxy.agents`;
    await sql`
      insert into x3sproxy.activity_contexts (workspace_id, minute, agent, provider, context, requests)
      select ${id}, date_trunc('minute', now()) - interval '1 hour', name, 'openai', '{"user": "somebody"}', 3
      from x3sproxy.agents`;
    await sql`
      insert into x3sproxy.users (id, workspace_id, email, password_hash, role)
      select gen_random_uuid(), ${id}, 'user-' || lpad(n::text, 3, '0') || '@example.test', 'none', 'viewer'
      from generate_series(2, ${users}) n`;
    await sql`
      insert into x3sproxy.invitations (id, workspace_id, hash, email, role, invited_by)
      select gen_random_uuid(), ${id}, sha256(n::text::bytea), 'guest-' || n || '@example.test', 'viewer', 'owner'
      from generate_series(1, ${users}) n`;
    await sql`
      insert into x3sproxy.api_keys (id, workspace_id, name, hash, role)
      select gen_random_uuid(), ${id}, 'pipeline ' || lpad(n::text, 3, '0'), sha256(n::text::bytea), 'viewer'
      from generate_series(1, ${users}) n`;
    await sql`
      insert into x3sproxy.sessions (id, workspace_id, user_id, hash)
      select gen_random_uuid(), ${id}, u.id, sha256(n::text::bytea)
      from x3sproxy.users u, generate_series(1, ${users}) n where u.email = ${OWNER.email}`;
  });
}
