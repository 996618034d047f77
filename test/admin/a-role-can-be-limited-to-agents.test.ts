import assert from "node:assert/strict";
import { it } from "node:test";
import { stringAt, type Answer } from "./fixture.ts";
import { assertRefused, openPeople } from "./people.ts";

const ID = "00000000-0000-4000-8000-000000000000";

it("a user and a key limited to agents see and touch those alone", async (t) => {
  const { first, join, call } = await openPeople(t);
  for (const name of ["coder", "tester", "other"]) {
    assert.equal((await first.call("POST", `/agents/${name}/deployments`, {})).status, 201);
  }
  const limit = ["coder", "tester", "planned"];
  const { browser } = await join("worker@example.test", "operator", limit);
  const made = await first.call("POST", "/api-keys", {
    name: "ci",
    role: "operator",
    agents: limit,
  });
  const key = stringAt(made, "key");
  type Call = (method: string, path: string, body?: unknown) => Promise<Answer>;
  const callers: Call[] = [
    browser.call,
    (method, path, body) => call(method, `/api/v1${path}`, body, key),
  ];
  for (const as of callers) {
    const list = await as("GET", "/agents");
    const names = (list.body["agents"] as { name: string }[]).map(({ name }) => name);
    assert.deepEqual(names, ["coder", "tester"]);
    assert.equal((await as("POST", "/agents/coder/deployments", {})).status, 201);
    assert.equal((await as("POST", "/agents/planned/deployments", {})).status, 201);
    assert.equal((await as("DELETE", "/agents/planned")).status, 200);
    assertRefused(await as("POST", "/agents/other/deployments", {}), 404, "agent_not_found");
    assertRefused(await as("DELETE", "/agents/other"), 404, "agent_not_found");
    assertRefused(await as("DELETE", "/agents/no-such-agent"), 404, "agent_not_found");
    assertRefused(await as("DELETE", "/agents/CODER"), 404, "agent_not_found");
    assert.equal((await as("GET", "/secrets")).status, 200);
    assertRefused(await as("PUT", "/secrets", {}), 403, "role_too_low");
    const all = await as("POST", "/workspace/suspend");
    assertRefused(all, 403, "role_too_low");
    assert.match(stringAt(all, "detail"), /limited to some agents\. Name one of them at a time/);
    assert.equal((await as("POST", "/agents/coder/suspend")).status, 200);
    assert.equal((await as("POST", "/agents/coder/resume")).status, 200);
  }
  const names = ((await first.call("GET", "/agents")).body["agents"] as { name: string }[]).map(
    ({ name }) => name,
  );
  assert.ok(names.includes("other"));
});

it("the database keeps a limit from a role that can't have one", async (t) => {
  const { owner, ownerId, first } = await openPeople(t);
  const check = { code: "23514" };
  await assert.rejects(
    owner`update x3sproxy.users set agents = '{coder}' where id = ${ownerId}`.execute(),
    check,
  );
  await assert.rejects(owner`update x3sproxy.api_keys set agents = '{coder}'`.execute(), check);
  assertRefused(
    await first.call("PATCH", `/users/${ID}`, { role: "owner", agents: ["coder"] }),
    404,
    "user_not_found",
  );
});

it("any other change is refused to it, whatever its role allows", async (t) => {
  const { owner, call, addKey } = await openPeople(t);
  const key = await addKey("operator");
  // No role that can be limited may change anything but agents today: this one would be allowed more.
  await owner`alter table x3sproxy.api_keys drop constraint api_keys_agents_check`;
  await owner`update x3sproxy.api_keys set agents = '{coder}', role = 'owner' where name = 'operator'`;
  for (const [method, path] of [
    ["PUT", "/secrets"],
    ["DELETE", `/secrets/${ID}`],
    ["PATCH", "/workspace"],
    ["POST", "/invitations"],
    ["DELETE", "/providers/acme"],
  ] as const) {
    assertRefused(await call(method, `/api/v1${path}`, {}, key), 403, "limited_to_agents");
  }
});
