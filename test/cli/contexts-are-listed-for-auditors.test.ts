import assert from "node:assert/strict";
import { it } from "node:test";
import { openCli, runCli } from "./fixture.ts";

it("an auditor reads on whose behalf agents made calls, and a viewer does not", async (t) => {
  const { owner, workspaceId, addKey, environment } = await openCli(t);
  const as = async (role: "auditor" | "viewer", ...args: string[]) =>
    runCli(["agent", "contexts", ...args], {
      environment: { ...environment, X3SPROXY_API_KEY: await addKey(role) },
    });
  assert.match((await as("auditor")).stdout, /^No agent said/);
  for (const [agent, hours, user] of [
    ["coder", 1, "alice"],
    ["coder", 30, "bob"],
    ["tester", 1, "carol"],
  ] as const) {
    await owner`
      insert into x3sproxy.activity_contexts (workspace_id, minute, agent, provider, context, requests)
      values (${workspaceId}, date_trunc('minute', now()) - ${hours} * interval '1 hour', ${agent}, 'openai',
        ${owner.json({ user, run: "r-1" })}, 7)`;
  }
  const { stdout } = await as("auditor", "coder");
  assert.match(
    stdout,
    /^1 hour ago +coder +openai +7 +(user: alice, run: r-1|run: r-1, user: alice)$/m,
  );
  assert.doesNotMatch(stdout, /bob|carol/);
  const all = JSON.parse((await as("auditor", "--since", "7d", "--json")).stdout) as unknown[];
  assert.equal(all.length, 3);
  const refused = await as("viewer");
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /auditor or owner/);
});
