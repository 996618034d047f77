import assert from "node:assert/strict";
import { it } from "node:test";
import { stringAt } from "./fixture.ts";
import { OWNER_EMAIL, assertRefused, openPeople } from "./people.ts";

const ID = "00000000-0000-4000-8000-000000000000";

it("they are listed page by page, with what may be known of them", async (t) => {
  const { first, join, enrol } = await openPeople(t);
  const { browser } = await join("c@example.test", "viewer", ["coder"]);
  await join("a@example.test", "auditor");
  await enrol(browser);
  const all = await first.call("GET", "/users");
  assert.partialDeepStrictEqual(all.body, {
    users: [
      { email: "a@example.test", role: "auditor", agents: null, secondFactor: false },
      { email: "c@example.test", role: "viewer", agents: ["coder"], secondFactor: true },
      { email: OWNER_EMAIL, role: "owner" },
    ],
    nextCursor: null,
  });
  const users = all.body["users"] as Record<string, unknown>[];
  assert.deepEqual(Object.keys(users[0] ?? {}).sort(), [
    "agents",
    "createdAt",
    "email",
    "id",
    "lastSignInAt",
    "role",
    "secondFactor",
  ]);
  const emails: unknown[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const page = await first.call("GET", `/users?limit=1${cursor && `&cursor=${cursor}`}`);
    emails.push(...(page.body["users"] as { email: string }[]).map(({ email }) => email));
    cursor = page.body["nextCursor"] as string | null;
  }
  assert.deepEqual(emails, ["a@example.test", "c@example.test", OWNER_EMAIL]);
  for (const query of ["limit=0", "limit=201", "limit=x"]) {
    assertRefused(await first.call("GET", `/users?${query}`), 422, "invalid_request");
  }
  for (const cursor of ["nonsense", ""]) {
    assertRefused(await first.call("GET", `/users?cursor=${cursor}`), 422, "cursor_invalid");
  }
});

it("a role is changed; a limit that the new role can't have goes", async (t) => {
  const { first, join, events } = await openPeople(t);
  const { id } = await join("a@example.test", "viewer", ["coder"]);
  const change = (body: object) => first.call("PATCH", `/users/${id}`, body);
  assert.partialDeepStrictEqual((await change({ role: "operator" })).body["user"], {
    role: "operator",
    agents: ["coder"],
  });
  assert.partialDeepStrictEqual((await change({ agents: ["a", "b"] })).body["user"], {
    agents: ["a", "b"],
  });
  assertRefused(await change({ role: "admin", agents: ["a"] }), 422, "agents_not_allowed");
  assert.partialDeepStrictEqual((await change({ role: "admin" })).body["user"], {
    role: "admin",
    agents: null,
  });
  assertRefused(await change({ agents: ["a"] }), 422, "agents_not_allowed");
  for (const body of [{ role: "king" }, { agents: [] }, { agents: ["A b"] }, { email: "x" }]) {
    assertRefused(await change(body), 422, "invalid_request");
  }
  assertRefused(await first.call("PATCH", `/users/${ID}`, {}), 404, "user_not_found");
  assertRefused(await first.call("PATCH", "/users/x", {}), 404, "user_not_found");
  const [event] = (await events("user.change")).slice(-1);
  assert.deepEqual(JSON.parse(String(event?.["detail"])), {
    agents: "a, b → no limit",
    role: "operator → admin",
  });
});

it("nobody deletes himself, and the last owner stays one", async (t) => {
  const { first, join, ownerId, call } = await openPeople(t);
  assertRefused(await first.call("DELETE", `/users/${ownerId}`), 409, "own_account");
  assertRefused(await call("DELETE", `/api/v1/users/${ownerId}`), 409, "last_owner");
  assertRefused(
    await first.call("PATCH", `/users/${ownerId}`, { role: "admin" }),
    409,
    "last_owner",
  );
  const second = await join("second@example.test", "owner");
  const deleted = await second.browser.call("DELETE", `/users/${ownerId}`);
  assert.equal(stringAt(deleted, "user", "email"), OWNER_EMAIL);
  assertRefused(await first.call("GET", "/me"), 401, "unauthenticated");
  assertRefused(await second.browser.call("DELETE", `/users/${ownerId}`), 404, "user_not_found");
});

it("of two owners who demote or delete each other at once one stays, every time", async (t) => {
  const { join, ownerId, call, owner } = await openPeople(t);
  const second = await join("second@example.test", "owner");
  const demote = (id: string) => call("PATCH", `/api/v1/users/${id}`, { role: "viewer" });
  const remove = (id: string) => call("DELETE", `/api/v1/users/${id}`);
  for (let round = 0; round < 8; round++) {
    const act = round === 7 ? remove : demote;
    const answers = await Promise.all([act(ownerId), act(second.id)]);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409]);
    const owners = await owner`select from x3sproxy.users where role = 'owner'`;
    assert.equal(owners.count, 1);
    await owner`update x3sproxy.users set role = 'owner'`;
  }
});

it("another workspace's owner neither sees nor touches them", async (t) => {
  const { first, join, addKey, addWorkspace, call } = await openPeople(t);
  const { id } = await join("a@example.test", "viewer");
  const invited = await first.call("POST", "/invitations", {
    email: "b@example.test",
    role: "viewer",
  });
  const made = await first.call("POST", "/api-keys", { name: "ci", role: "viewer" });
  const stranger = await addKey("owner", await addWorkspace("elsewhere"));
  const as = (method: string, path: string, body?: unknown) =>
    call(method, `/api/v1${path}`, body, stranger);
  assert.deepEqual((await as("GET", "/users")).body["users"], []);
  assert.deepEqual((await as("GET", "/invitations")).body["invitations"], []);
  assert.equal(((await as("GET", "/api-keys")).body["apiKeys"] as unknown[]).length, 1);
  assertRefused(await as("PATCH", `/users/${id}`, { role: "owner" }), 404, "user_not_found");
  assertRefused(await as("DELETE", `/users/${id}`), 404, "user_not_found");
  assertRefused(await as("POST", `/users/${id}/reset`, {}), 404, "user_not_found");
  const invitation = `/invitations/${stringAt(invited, "invitation", "id")}`;
  assertRefused(await as("DELETE", invitation), 404, "invitation_not_found");
  assertRefused(
    await as("DELETE", `/api-keys/${stringAt(made, "apiKey", "id")}`),
    404,
    "api_key_not_found",
  );
  assert.equal((await first.call("GET", "/users")).text.includes("a@example.test"), true);
});

it("only owners do, and an API key only if it is an owner's", async (t) => {
  const { first, join, addKey, call } = await openPeople(t);
  const { id } = await join("victim@example.test", "viewer");
  const acts: readonly (readonly [method: string, path: string, body?: unknown])[] = [
    ["GET", "/users"],
    ["PATCH", `/users/${id}`, { role: "owner" }],
    ["DELETE", `/users/${id}`],
    ["POST", `/users/${id}/reset`, {}],
    ["GET", "/invitations"],
    ["POST", "/invitations", { email: "x@example.test", role: "owner" }],
    ["DELETE", `/invitations/${ID}`],
    ["GET", "/api-keys"],
    ["POST", "/api-keys", { name: "x", role: "owner" }],
    ["DELETE", `/api-keys/${ID}`],
    ["PATCH", "/workspace", { secondFactorRequired: false }],
  ];
  for (const role of ["viewer", "operator", "admin", "auditor"] as const) {
    const { browser } = await join(`${role}@example.test`, role);
    const key = await addKey(role);
    for (const [method, path, body] of acts) {
      assertRefused(await browser.call(method, path, body), 403, "role_too_low");
      assertRefused(await call(method, `/api/v1${path}`, body, key), 403, "role_too_low");
    }
  }
  assert.equal((await call("PATCH", `/api/v1/users/${id}`, { role: "operator" })).status, 200);
  assert.equal((await first.call("GET", "/users")).status, 200);
});
