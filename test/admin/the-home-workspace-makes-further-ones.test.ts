import assert from "node:assert/strict";
import { it } from "node:test";
import { FAKE_KEY, stringAt, type Answer } from "./fixture.ts";
import { OWNER_EMAIL, PASSWORD, assertRefused, openPeople } from "./people.ts";

type People = Awaited<ReturnType<typeof openPeople>>;

const HOUR_MS = 3_600_000;
const OTHER_EMAIL = "other@example.test";

function setupTokenOf(answer: Answer): string {
  const url = stringAt(answer, "url");
  const token = /^https:\/\/x3s\.example\.test\/setup#token=(x3ssetup_[A-Za-z0-9]{32})$/.exec(
    url,
  )?.[1];
  assert.ok(token !== undefined, url);
  return token;
}

const rows = (answer: Answer) => answer.body["workspaces"] as Record<string, unknown>[];
const namesIn = (answer: Answer) => rows(answer).map(({ name }) => name);

/** A second workspace, made by the home's owner, with an owner who is signed in. */
async function openSecond(people: People, name = "second") {
  const made = await people.first.call("POST", "/workspaces", { name });
  assert.equal(made.status, 201, made.text);
  const id = stringAt(made, "workspace", "id");
  const other = people.browse();
  const setup = { token: setupTokenOf(made), email: OTHER_EMAIL, password: PASSWORD };
  const joined = await other.call("POST", "/setup", setup);
  assert.equal(joined.status, 201, joined.text);
  return { id, made, other, joined, setup };
}

it("a new workspace gets its first owner by a link that works once, for 72 hours", async (t) => {
  const people = await openPeople(t);
  const { first, browse, owner, events, workspaceId } = people;
  const { id, made, joined, setup } = await openSecond(people);
  assert.deepEqual(made.body["workspace"], {
    ...(made.body["workspace"] as object),
    name: "second",
    home: false,
    users: 0,
    agents: 0,
    secrets: 0,
    setupEndsAt: made.body["expiresAt"],
  });
  const hours = (Date.parse(stringAt(made, "expiresAt")) - Date.now()) / HOUR_MS;
  assert.ok(hours > 71.9 && hours <= 72, String(hours));
  assert.partialDeepStrictEqual(joined.body["me"], {
    role: "owner",
    workspace: { id, name: "second" },
  });
  const again = { ...setup, email: "late@example.test" };
  assertRefused(await browse().call("POST", "/setup", again), 401, "setup_link_invalid");
  assert.partialDeepStrictEqual(await events("workspace.create"), [
    { actor_name: OWNER_EMAIL, target_kind: "workspace", target_name: "second", result: "done" },
  ]);
  const [event] = await owner`
    select workspace_id from x3sproxy.audit_events where action = 'workspace.create'`;
  assert.equal(event?.["workspace_id"], workspaceId);
  const kept = await owner`select to_jsonb(l)::text as text from x3sproxy.setup_links l`;
  assert.ok(!JSON.stringify(kept).includes(setup.token));

  assertRefused(await first.call("POST", "/workspaces", { name: "second" }), 409, "name_taken");
  for (const body of [{}, { name: "Not A Name" }, { name: "third", home: true }]) {
    assertRefused(await first.call("POST", "/workspaces", body), 422, "invalid_request");
  }
  assert.equal((await owner`select from x3sproxy.workspaces`).count, 2);
});

it("home's owners see all with how much is in each, page by page; others their own", async (t) => {
  const people = await openPeople(t);
  const { first, workspaceId } = people;
  const { id, other } = await openSecond(people);
  await first.call("POST", "/workspaces", { name: "empty" });
  await other.call("PUT", "/secrets", { provider: "openai", value: FAKE_KEY });
  await other.call("POST", "/agents/coder/deployments", {});
  const list = await first.call("GET", "/workspaces");
  assert.partialDeepStrictEqual(list.body, {
    workspaces: [
      { id: workspaceId, name: "default", home: true, users: 1, agents: 0, secrets: 0 },
      { name: "empty", home: false, users: 0, agents: 0, secrets: 0 },
      { id, name: "second", home: false, users: 1, agents: 1, secrets: 1, setupEndsAt: null },
    ],
    nextCursor: null,
  });
  assert.equal(typeof rows(list)[1]?.["setupEndsAt"], "string");
  assert.doesNotMatch(list.text, /x3ssetup|hash|FAKE/);
  const page = await first.call("GET", "/workspaces?limit=2");
  assert.deepEqual(namesIn(page), ["default", "empty"]);
  const cursor = stringAt(page, "nextCursor");
  const next = await first.call("GET", `/workspaces?limit=2&cursor=${cursor}`);
  assert.deepEqual([namesIn(next), next.body["nextCursor"]], [["second"], null]);
  const own = await other.call("GET", "/workspaces");
  assert.deepEqual([namesIn(own), own.body["nextCursor"]], [["second"], null]);
});

it("to an owner of another workspace there is only that one, and it makes and ends none", async (t) => {
  const people = await openPeople(t);
  const { first, owner, workspaceId, addKey, call } = people;
  const { id, other } = await openSecond(people);
  const third = await first.call("POST", "/workspaces", { name: "third" });
  const thirdId = stringAt(third, "workspace", "id");
  const state = () => owner`
    select w.*, (select array_agg(hash) from x3sproxy.setup_links l where l.workspace_id = w.id) as links
    from x3sproxy.workspaces w order by id`;
  const before = await state();
  const key = await addKey("owner", id);
  const callers = [
    other.call,
    (method: string, path: string, body?: unknown) => call(method, `/api/v1${path}`, body, key),
  ];
  for (const send of callers) {
    for (const name of ["mine", "third"]) {
      assertRefused(await send("POST", "/workspaces", { name }), 403, "home_workspace_only");
    }
    for (const there of [workspaceId, thirdId]) {
      const path = `/workspaces/${there}`;
      assertRefused(await send("POST", `${path}/setup-link`), 404, "workspace_not_found");
      for (const name of ["default", "third"]) {
        assertRefused(await send("DELETE", path, { name }), 404, "workspace_not_found");
      }
    }
    const own = `/workspaces/${id}`;
    assertRefused(await send("POST", `${own}/setup-link`), 403, "home_workspace_only");
    assertRefused(await send("DELETE", own, { name: "second" }), 403, "home_workspace_only");
    assert.deepEqual(namesIn(await send("GET", "/workspaces")), ["second"]);
  }
  assert.deepEqual(await state(), before);
  // What is the first workspace's stays out of the second's sight.
  await first.call("POST", "/agents/ours/deployments", {});
  assert.deepEqual((await other.call("GET", "/agents")).body["agents"], []);
  assert.deepEqual((await other.call("GET", "/environments")).body, { environments: [] });
  const audit = await other.call("GET", "/audit");
  assert.doesNotMatch(audit.text, /workspace\.create|third|first@/);
});

it("it takes an owner, and one who has proved it lately; an owner's API key is good, too", async (t) => {
  const people = await openPeople(t);
  const { first, join, call, ageProofs, owner } = people;
  const { browser: admin } = await join("admin@example.test", "admin");
  const made = await call("POST", "/api/v1/workspaces", { name: "by-key" });
  assert.equal(made.status, 201, made.text);
  const path = `/workspaces/${stringAt(made, "workspace", "id")}`;
  const changes: [method: string, path: string, body?: object][] = [
    ["POST", "/workspaces", { name: "another" }],
    ["POST", `${path}/setup-link`],
    ["DELETE", path, { name: "by-key" }],
  ];
  for (const change of changes) {
    assertRefused(await admin.call(...change), 403, "role_too_low");
  }
  assertRefused(await admin.call("GET", "/workspaces"), 403, "role_too_low");
  await ageProofs("6 minutes");
  for (const change of changes) assertRefused(await first.call(...change), 403, "proof_needed");
  assert.equal((await owner`select from x3sproxy.workspaces`).count, 2);
  assert.equal((await first.call("GET", "/workspaces")).status, 200);
  await first.call("POST", "/me/proof", { password: PASSWORD });
  for (const change of changes) assert.ok((await first.call(...change)).status < 300, change[1]);
});

it("a setup link is renewed while there is no user, and the one before it ends", async (t) => {
  const people = await openPeople(t);
  const { first, browse, owner, events, setupToken } = people;
  const made = await first.call("POST", "/workspaces", { name: "second" });
  const path = `/workspaces/${stringAt(made, "workspace", "id")}/setup-link`;
  const setUp = (token: string) =>
    browse().call("POST", "/setup", { token, email: OTHER_EMAIL, password: PASSWORD });
  await owner`update x3sproxy.setup_links set expires_at = now() - interval '1 second'`;
  assertRefused(await setUp(setupTokenOf(made)), 401, "setup_link_invalid");

  const second = await first.call("POST", path);
  assert.equal(second.status, 200, second.text);
  const third = await first.call("POST", path);
  const hours = (Date.parse(stringAt(third, "expiresAt")) - Date.now()) / HOUR_MS;
  assert.ok(hours > 71.9 && hours <= 72, String(hours));
  for (const stale of [setupTokenOf(made), setupTokenOf(second), setupToken]) {
    assertRefused(await setUp(stale), 401, "setup_link_invalid");
  }
  const answers = await Promise.all([1, 2, 3].map(() => setUp(setupTokenOf(third))));
  assert.equal(answers.filter(({ status }) => status === 201).length, 1);
  assertRefused(await first.call("POST", path), 409, "already_set_up");
  const unknown = "/workspaces/00000000-0000-4000-8000-000000000000/setup-link";
  assertRefused(await first.call("POST", unknown), 404, "workspace_not_found");
  assert.equal((await events("workspace.setup_link")).length, 2);
});

it("a deleted workspace is gone with all that is in it, but for its audit; its name is free", async (t) => {
  const people = await openPeople(t);
  const { first, browse, owner, events, addKey, call, workspaceId } = people;
  const { id, other } = await openSecond(people);
  await other.call("PUT", "/secrets", { provider: "openai", value: FAKE_KEY });
  await other.call("PUT", "/providers/own-llm", { origin: "https://llm.example" });
  await other.call("POST", "/agents/coder/deployments", {});
  await other.call("POST", "/invitations", { email: "x@example.test", role: "viewer" });
  const key = await addKey("owner", id);
  const path = `/workspaces/${id}`;
  const eventsOf = () => owner`
    select * from x3sproxy.audit_events where workspace_id = ${id} order by id`;
  const audit = await eventsOf();
  assert.ok(audit.length >= 4);

  assertRefused(await first.call("DELETE", path, { name: "secnd" }), 422, "name_mismatch");
  assertRefused(await first.call("DELETE", path, { name: "default" }), 422, "name_mismatch");
  assertRefused(await first.call("DELETE", path), 422, "invalid_request");
  const home = await first.call("DELETE", `/workspaces/${workspaceId}`, { name: "default" });
  assertRefused(home, 409, "home_workspace");
  assert.equal((await other.call("GET", "/agents")).status, 200);

  const deleted = await first.call("DELETE", path, { name: "second" });
  assert.partialDeepStrictEqual(deleted.body["workspace"], { id, users: 1, agents: 1, secrets: 1 });
  assertRefused(await other.call("GET", "/me"), 401, "unauthenticated");
  assertRefused(await call("GET", "/api/v1/agents", undefined, key), 401, "unauthenticated");
  assertRefused(await browse().signIn(OTHER_EMAIL), 401, "sign_in_refused");
  assertRefused(await first.call("DELETE", path, { name: "second" }), 404, "workspace_not_found");
  const tables = await owner<{ name: string }[]>`
    select table_name as name from information_schema.columns
    where table_schema = 'x3sproxy' and column_name = 'workspace_id' 
      and table_name not like 'audit_%' and table_name <> 'activity_minutes'`;
  assert.ok(tables.length >= 12);
  for (const { name } of tables) {
    const left = await owner`select from x3sproxy.${owner(name)} where workspace_id = ${id}`;
    assert.equal(left.count, 0, name);
  }
  assert.deepEqual(await eventsOf(), audit);
  assert.partialDeepStrictEqual(await events("workspace.delete"), [
    { actor_name: OWNER_EMAIL, target_name: "second", after_hash: null },
  ]);
  const anew = await openSecond(people);
  assert.notEqual(anew.id, id);
  assert.deepEqual((await anew.other.call("GET", "/agents")).body["agents"], []);
});
