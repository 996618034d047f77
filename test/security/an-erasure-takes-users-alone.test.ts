// Erasing a person hides nothing of what API keys did, however they are named: who acted is a kind and an id, not a name.
import assert from "node:assert/strict";
import test from "node:test";
import { KeyRing, MasterKey, openLogSigner } from "../../src/vault/index.ts";
import { lookAt } from "../audit/log-fixture.ts";
import { unlistedParts } from "../audit/erasure-lists.ts";
import { FAKE_KEY, stringAt } from "../admin/fixture.ts";
import { openPeople } from "../admin/people.ts";

const EMAIL = "mallory@example.test";

type People = Awaited<ReturnType<typeof openPeople>>;

interface Event {
  readonly action: string;
  readonly actor: { readonly kind: string; readonly id: string | null; readonly name: string };
  readonly address: string | null;
  readonly target: { readonly kind: string; readonly id: string; readonly name: string };
}

async function eventsOf({ first }: People): Promise<Event[]> {
  const answer = await first.call("GET", "/audit?limit=200");
  assert.equal(answer.status, 200, answer.text);
  return (answer.body["events"] as Event[])
    .filter(({ action }) => action !== "audit.erase")
    .map(({ action, actor, address, target }) => ({ action, actor, address, target }));
}

/** An API key of this name does what it can, and is deleted. */
async function letKeyLive(people: People, name: string): Promise<string> {
  const { first, call, owner } = people;
  const made = await first.call("POST", "/api-keys", { name, role: "owner" });
  assert.equal(made.status, 201, made.text);
  const [id, key] = [stringAt(made, "apiKey", "id"), stringAt(made, "key")];
  const by = async (method: string, path: string, body?: unknown) => {
    const answer = await call(method, `/api/v1${path}`, body, key);
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.text}`);
    return answer;
  };
  await by("PUT", "/secrets", { provider: "openai", value: FAKE_KEY, skipTest: true });
  await by("POST", "/agents/coder/deployments", {});
  await by("POST", "/agents/coder/registrations", {});
  await by("POST", "/invitations", { email: "friend@example.test", role: "viewer" });
  await by("PATCH", "/workspace", { idleDays: 7 });
  const [traded] = await owner<{ answer: unknown }[]>`
    select x3sproxy.trade_registration(hash, sha256(hash), '192.0.2.9') as answer from x3sproxy.registrations`;
  assert.ok(traded?.answer != null, "the registration is traded");
  const gone = await first.call("DELETE", `/api-keys/${id}`);
  assert.equal(gone.status, 200, gone.text);
  return id;
}

for (const name of [EMAIL, `laptop of ${EMAIL}`, EMAIL.toUpperCase()]) {
  test(`the events of an API key named ${name} stay whole`, async (t) => {
    const people = await openPeople(t);
    const id = await letKeyLive(people, name);
    const before = await eventsOf(people);
    const own = before.filter(({ actor }) => actor.id === id);
    assert.ok(own.length >= 5);
    assert.ok(before.some(({ action }) => action === "registration.trade"));
    const erased = await people.first.call("POST", "/audit/erasures", { user: EMAIL });
    assert.equal(erased.status, 200, erased.text);
    assert.deepEqual((erased.body["erasure"] as { parts: number }).parts, 0);
    assert.deepEqual(await eventsOf(people), before);
  });
}

test("a user of the same address is erased, and the key named like it is not", async (t) => {
  const people = await openPeople(t);
  const id = await letKeyLive(people, EMAIL);
  const user = await people.join(EMAIL, "admin");
  await user.browser.call("POST", "/agents/helper/deployments", {});
  await user.browser.call("DELETE", "/me/sessions");
  await people.first.call("DELETE", `/users/${user.id}`);
  // Made anew, with another id.
  const again = await people.join(EMAIL, "viewer");
  await people.first.call("DELETE", `/users/${again.id}`);
  const before = await eventsOf(people);
  assert.equal((await people.first.call("POST", "/audit/erasures", { user: user.id })).status, 200);
  const after = await eventsOf(people);
  assert.equal(after.length, before.length);
  const isUsers = ({ actor, target }: Event) => ({
    actor: actor.kind === "user" || (actor.kind === "link" && !actor.name.startsWith("reg")),
    target: ["user", "invitation", "session"].includes(target.kind),
  });
  let parts = 0;
  for (const [at, was] of before.entries()) {
    const is = after[at];
    assert.ok(is !== undefined);
    const ofUser = isUsers(was);
    const isErased = {
      actor:
        ofUser.actor &&
        [user.id, again.id, EMAIL].some((each) => [was.actor.id, was.actor.name].includes(each)),
      target: ofUser.target && was.target.name === EMAIL,
    };
    assert.deepEqual(
      is.actor,
      isErased.actor ? { kind: was.actor.kind, id: null, name: "" } : was.actor,
      `${was.action} by ${was.actor.name}`,
    );
    const { kind } = was.target;
    assert.deepEqual(is.target, isErased.target ? { kind, id: "", name: "" } : was.target);
    parts += Number(isErased.actor) + Number(isErased.target);
  }
  assert.ok(parts > 8, `${parts}`);
  assert.equal(after.filter(({ actor }) => actor.id === id).length, 5);
  // And the tree holds, once the erasure's own event is sealed.
  await people.first.call("POST", "/audit/erasures", { user: "nobody@example.test" });
  const ring = new KeyRing([new MasterKey(Buffer.from(people.database.masterKey, "base64"))]);
  const signer = await openLogSigner(people.database.ownerUrl, ring);
  const log = await lookAt(people.owner, people.workspaceId, signer);
  assert.equal(log.blank.length, parts);
  assert.deepEqual(unlistedParts(log.blank, log.erasures), []);
});
