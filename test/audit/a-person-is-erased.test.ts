// On the whole admin side, as a person uses it: what names them is gone from every table, and the signed tree still holds.
import assert from "node:assert/strict";
import test from "node:test";
import { unlistedParts } from "./erasure-lists.ts";
import { KeyRing, MasterKey, openLogSigner } from "../../src/vault/index.ts";
import { FAKE_KEY } from "../admin/fixture.ts";
import { assertRefused, openPeople, OWNER_EMAIL, PASSWORD } from "../admin/people.ts";
import { lookAt } from "./log-fixture.ts";

const EMAIL = "ada.o'hara+x@example.test";
/** Addresses that hold Ada's, or that Ada's holds. */
const OTHERS = ["x.ada.o'hara+x@example.test", "ada.o'hara+x@example.test.org", "x@example.test"];

type People = Awaited<ReturnType<typeof openPeople>>;

/** Fails where a row of any table holds one of `texts`; gives the tables that were searched. */
async function tablesWith({ owner }: People, text: string): Promise<string[]> {
  const tables = await owner<{ name: string }[]>`
    select relname as name from pg_class where relnamespace = 'x3sproxy'::regnamespace and relkind = 'r' order by 1`;
  assert.ok(tables.length > 25);
  const found: string[] = [];
  for (const { name } of tables) {
    const rows = await owner`
      select from ${owner(`x3sproxy.${name}`)} t where position(lower(${text}) in lower(t::text)) > 0 limit 1`;
    if (rows.length > 0) found.push(name);
  }
  return found;
}

/** Ada comes, does what people do, and is deleted. */
async function letAdaLive(people: People) {
  const { first, join, call, owner, workspaceId, browse } = people;
  const ada = await join(EMAIL, "owner");
  const browser = ada.browser;
  await browser.call("PUT", "/secrets", {
    ...{ provider: "openai", value: FAKE_KEY, label: `ask ${EMAIL.toUpperCase()}.` },
  });
  await browser.call("POST", "/agents/coder/deployments", {});
  const registered = await browser.call("POST", "/agents/coder/registrations", {});
  assert.equal(registered.status, 201, registered.text);
  const spent = await browser.call("POST", "/agents/coder/registrations", {});
  const { id: spentId } = spent.body["registration"] as { id: string };
  await browser.call("DELETE", `/agents/coder/registrations/${spentId}`);
  await browser.call("POST", "/api-keys", { name: `laptop of ${EMAIL}`, role: "viewer" });
  await browser.call("POST", "/invitations", { email: "friend@example.test", role: "viewer" });
  const elsewhere = browse(browser.address);
  await elsewhere.signIn(EMAIL, "a wrong password");
  await elsewhere.signIn(EMAIL, PASSWORD);
  await elsewhere.call("DELETE", "/me/sessions");
  await elsewhere.call("POST", "/sign-out");
  await first.call("PATCH", `/users/${ada.id}`, { role: "admin" });
  await first.call("POST", `/users/${ada.id}/reset`, {});
  await owner`
    insert into x3sproxy.activity_contexts (workspace_id, minute, agent, provider, context, requests)
    values (${workspaceId}, now(), 'coder', 'openai', ${owner.json({ user: EMAIL })}, 3),
      (${workspaceId}, now(), 'coder', 'openai', ${owner.json({ user: OTHERS[0] ?? "" })}, 3)`;
  await owner`
    insert into x3sproxy.audit_events (workspace_id, actor_kind, actor_id, actor_name, address, method, action,
      target_kind, target_id, target_name, result)
    values (${workspaceId}, 'link', gen_random_uuid(), ${`registration by ${EMAIL}`}, ${browser.address}, 'registration',
      'registration.trade', 'agent', 'an-id', 'coder', 'done')`;
  for (const email of OTHERS) await first.call("POST", "/invitations", { email, role: "viewer" });
  assert.equal((await first.call("DELETE", `/users/${ada.id}`)).status, 200);
  await first.call("POST", "/invitations", { email: EMAIL, role: "viewer" });
  await call("GET", "/api/v1/me");
  return { ...ada, address: browser.address };
}

const erase = (people: People, user: string) =>
  people.first.call("POST", "/audit/erasures", { user });

async function look(people: People) {
  const key = new KeyRing([new MasterKey(Buffer.from(people.database.masterKey, "base64"))]);
  const signer = await openLogSigner(people.database.ownerUrl, key);
  return lookAt(people.owner, people.workspaceId, signer);
}

test("after an erasure no table holds the person, and the tree is the one that was signed", async (t) => {
  const people = await openPeople(t);
  const ada = await letAdaLive(people);
  const before = await tablesWith(people, EMAIL);
  assert.deepEqual(before, [
    ...["activity_contexts", "api_keys", "audit_events", "invitations", "registrations"],
    ...["secrets", "spent_registrations"],
  ]);
  const erased = await erase(people, ` ${EMAIL.toUpperCase()}`);
  assert.equal(erased.status, 200, erased.text);
  const { parts, waiting, others } = erased.body["erasure"] as Record<string, number>;
  assert.ok(parts !== undefined && parts > 20, `${parts}`);
  assert.equal(waiting, 0);
  assert.equal(
    others,
    7,
    "an invitation, a friend's, two registrations, a key, a label, a context",
  );
  // Ada's address stands in longer ones, of others, that have to stay.
  for (const email of OTHERS) {
    assert.ok((await tablesWith(people, email)).includes("invitations"), email);
    await people.owner`delete from x3sproxy.invitations where email = ${email}`;
    await people.owner`update x3sproxy.audit_events set target_name = 'moved' where target_name = ${email}`;
  }
  await people.owner`delete from x3sproxy.activity_contexts`;
  // What an API key was called in an event is not about a user.
  await people.owner`
    update x3sproxy.audit_events set target_name = 'moved'
    where target_kind = 'api_key' and target_name = ${`laptop of ${EMAIL}`}`;
  for (const text of [EMAIL, ada.id, ada.address]) {
    assert.deepEqual(await tablesWith(people, text), [], text);
  }
});

test("the tree still holds, each erased part is on a list, and one that somebody blanked is not", async (t) => {
  const people = await openPeople(t);
  const ada = await letAdaLive(people);
  const erased = await erase(people, ada.id);
  const { parts } = erased.body["erasure"] as { parts: number };
  await erase(people, "nobody@example.test"); // seals what there is
  const log = await look(people);
  assert.equal(log.blank.length, parts);
  assert.deepEqual(unlistedParts(log.blank, log.erasures), []);
  assert.equal(log.erasures.length, 1);
  const [event] = await people.owner`
    select * from x3sproxy.audit_events where action = 'audit.erase'`;
  assert.equal(event?.["actor_name"], OWNER_EMAIL);
  assert.equal(event["target_name"], "a person");
  assert.notEqual(event["target_id"], ada.id);

  const [first] = await people.owner<{ id: string; index: number }[]>`
    update x3sproxy.audit_events e set actor_salt = null, actor_id = null, actor_name = '', address = null
    from x3sproxy.audit_leaves l where l.event_id = e.id and l.leaf_index = 0
    returning e.id, l.leaf_index::float8 as index`;
  const blank = { index: first?.index ?? -1, part: "actor" } as const;
  const forged = await look(people);
  assert.deepEqual(unlistedParts(forged.blank, forged.erasures), [blank]);
  // Nor does it help to put it on the list: the sealed event vouches for another one.
  await people.owner`
    insert into x3sproxy.audit_erasures (workspace_id, leaf_index, part, erasure_event_id)
    values (${people.workspaceId}, 0, 'actor', ${String(event["id"])})`;
  const listed = await look(people);
  assert.equal(unlistedParts(listed.blank, listed.erasures).length, parts + 1);
});

test("in the audit erased parts are marked, and what was done and when stays", async (t) => {
  const people = await openPeople(t);
  const ada = await letAdaLive(people);
  const list = async () =>
    ((await people.first.call("GET", "/audit?limit=200")).body["events"] ?? []) as {
      id: string;
      action: string;
      at: string;
      index: number | null;
      erased: string[];
      actor: { id: string | null; name: string };
    }[];
  const before = await list();
  await erase(people, ada.id);
  const after = (await list()).filter(({ action }) => action !== "audit.erase");
  const told = (events: typeof before) => events.map(({ id, action, at }) => ({ id, action, at }));
  assert.deepEqual(told(after), told(before));
  const saved = after.find(({ action }) => action === "secret.set");
  assert.partialDeepStrictEqual(saved, { erased: ["actor"], actor: { id: null, name: "" } });
  assert.deepEqual(after.find(({ action }) => action === "user.delete")?.erased, ["target"]);
  assert.equal(typeof saved?.index, "number");
});

test("who still exists can't be erased; doing it again changes and records nothing", async (t) => {
  const people = await openPeople(t);
  const { id } = await people.join(EMAIL, "viewer");
  assertRefused(await erase(people, EMAIL), 409, "user_exists");
  assertRefused(await erase(people, id), 409, "user_exists");
  assert.ok((await tablesWith(people, EMAIL)).includes("audit_events"));
  await people.first.call("DELETE", `/users/${id}`);
  // Invited again, and deleted again: one person, two ids.
  const { id: second } = await people.join(EMAIL, "viewer");
  await people.first.call("DELETE", `/users/${second}`);
  assert.equal((await erase(people, id)).status, 200);
  for (const text of [EMAIL, id, second]) assert.deepEqual(await tablesWith(people, text), []);
  for (const again of [id, EMAIL, "nobody@example.test"]) {
    const answer = await erase(people, again);
    assert.deepEqual(answer.body["erasure"], { parts: 0, waiting: 0, others: 0 });
  }
  assert.equal((await people.events("audit.erase")).length, 1);
  for (const user of ["", "ada", "bootstrap", "a b@example.test", "@", `${"x".repeat(250)}@x.de`]) {
    assertRefused(await erase(people, user), 422, "invalid_request");
  }
});

test("a person of another workspace is out of reach", async (t) => {
  const people = await openPeople(t);
  const ada = await letAdaLive(people);
  const otherOwnerKey = await people.addKey("owner", await people.addWorkspace("elsewhere"));
  const answer = await people.call(
    "POST",
    "/api/v1/audit/erasures",
    { user: ada.email },
    otherOwnerKey,
  );
  assert.deepEqual(answer.body, { erasure: { parts: 0, waiting: 0, others: 0 } });
  assert.ok((await tablesWith(people, EMAIL)).includes("audit_events"));
});
