// Everybody behind one address: an office, a container's bridge, this machine. What others there fail at must refuse nobody whose
// credential is good; and the emergency stop comes before every limit.
import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import fc from "fast-check";
import type { Answer } from "../admin/fixture.ts";
import { newAddress, openPeople, OWNER_EMAIL, PASSWORD, tokenOf } from "../admin/people.ts";
import { inputs } from "../support/generated.ts";

const DEVICE = "d".repeat(43);
const SEED = 20_261_130;
const suffix = (length: number) => fc.stringMatching(new RegExp(`^[A-Za-z0-9]{${length}}$`));
const suffixes = suffix(32);

/** Credentials that look right and are nobody's, and some that don't even look right. */
const KEYS = fc.oneof(
  suffixes.map((text) => ({ authorization: `Bearer x3skey_${text}` })),
  fc.tuple(suffix(43), suffix(43)).map(([value, secret]) => ({
    cookie: `__Host-x3sproxy-443=x3ssess_${value}`,
    "x3sproxy-session": `x3ssecret_${secret}`,
  })),
  fc.constantFrom<Record<string, string>>({ authorization: "Bearer x" }, { authorization: "" }),
);
const BODIES = fc.oneof(
  fc.constantFrom<unknown>({}, { token: "x" }, { email: OWNER_EMAIL, password: "wrong" }),
  suffixes.map((text) => ({ token: `x3slink_${text}`, password: PASSWORD })),
  suffixes.map((text) => ({
    ...{ token: `x3ssetup_${text}`, password: PASSWORD },
    email: "somebody@example.test",
  })),
  suffixes.map((text) => ({ email: `${text}@example.test`, password: text })),
);

/** An office whose address has been used for junk at every route that there is, by every kind of credential. */
async function openOffice(t: TestContext) {
  const people = await openPeople(t);
  const office = newAddress();
  await people.browse().signIn(OWNER_EMAIL, PASSWORD, undefined, DEVICE);
  const junk = async (path: string, method: string): Promise<void> => {
    const isOpen = people.routes.some(
      (it) => it.path === path && it.method === method && /^(?:link|public)$/.test(it.permission),
    );
    const sent = fc.sample(fc.tuple(KEYS, BODIES), inputs(SEED, isOpen ? 22 : 1));
    const answers = await Promise.all(
      sent.map(([headers, body]) =>
        people
          .browse(office)
          .call(
            method,
            path.replaceAll(/:\w+/g, "x"),
            method === "GET" ? undefined : body,
            headers,
          ),
      ),
    );
    for (const { status, text } of answers) {
      assert.ok(isOpen ? status < 500 || status === 503 : [401, 429].includes(status), text);
    }
  };
  for (const { path, method } of people.routes) {
    if (path !== "/openapi.json") await junk(path, method);
  }
  return { ...people, office, junk };
}

const statusesOf = (answers: readonly Answer[]): number[] => answers.map(({ status }) => status);

it("after junk at every route, each good credential from the same address is let in", async (t) => {
  const { first, browse, office, junk, send, addKey, owner, call } = await openOffice(t);
  const asOffice = async (method: string, path: string, key: string) =>
    send(`/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, "x-forwarded-for": office },
    });
  const flooded = await asOffice("GET", "/whoami", "x3skey_nobodys");
  assert.equal(flooded.status, 429, "whoever fails is told to wait");
  const [key, admin] = [await addKey("owner"), await addKey("admin")];
  assert.equal((await asOffice("GET", "/whoami", key)).status, 200, "a key that was never seen");
  assert.equal((await asOffice("POST", "/workspace/suspend", admin)).status, 200);

  // A session that is new, on its first request; junk goes on beside.
  const person = browse(office);
  assert.equal((await person.signIn(OWNER_EMAIL, PASSWORD, undefined, DEVICE)).status, 200);
  assert.equal((await person.call("GET", "/me")).status, 200);
  const elsewhere = await browse().signIn(OWNER_EMAIL);
  assert.equal(elsewhere.status, 200, "from where nobody guessed it goes on");
  const worker = await invite("worker@example.test");
  const accepted = await person.call("POST", "/invitations/accept", worker);
  assert.equal(accepted.status, 201, accepted.text);
  await junk("/me", "GET");
  assert.equal((await person.call("GET", "/me")).status, 200);
  assert.equal((await person.call("POST", "/me/proof", { password: PASSWORD })).status, 200);
  assert.equal((await browse(office).signIn("worker@example.test")).status, 200);

  async function invite(email: string) {
    const invited = await first.call("POST", "/invitations", { email, role: "admin" });
    return { token: tokenOf(invited), password: PASSWORD };
  }
  for (let i = 0; i < 22; i++) {
    const link = await invite(`newcomer-${i}@example.test`);
    const newcomer = browse(office);
    const looked = await newcomer.call("POST", "/links/look", { token: link.token });
    assert.equal(looked.status, 200, looked.text);
    const joined = await newcomer.call("POST", "/invitations/accept", link);
    assert.equal(joined.status, 201, joined.text);
  }
  const [{ id } = {}] = await owner<{ id?: string }[]>`
    select id from x3sproxy.users where email = 'worker@example.test'`;
  const reset = await call("POST", `/api/v1/users/${id}/reset`, {});
  const again = await browse(office).call("POST", "/resets/accept", {
    token: tokenOf(reset),
    password: PASSWORD,
  });
  assert.equal(again.status, 200, again.text);
});

it("a device on which somebody has signed in is let in though its account is guessed at from the same address", async (t) => {
  const { browse } = await openPeople(t);
  const home = newAddress();
  assert.equal((await browse(home).signIn(OWNER_EMAIL, PASSWORD, undefined, DEVICE)).status, 200);
  const guesses = Array.from({ length: 20 }, () => browse(home).signIn(OWNER_EMAIL, "wrong"));
  assert.ok(statusesOf(await Promise.all(guesses)).includes(429));
  assert.equal((await browse(home).signIn(OWNER_EMAIL, PASSWORD, undefined, DEVICE)).status, 200);
});

it("a session of which somebody else guesses the proof keeps no other from proving", async (t) => {
  const { first, browse, owner } = await openPeople(t);
  const other = browse();
  await other.signIn(OWNER_EMAIL);
  const prove = (browser: typeof first, password: string) =>
    browser.call("POST", "/me/proof", { password });
  const guesses = Array.from({ length: 12 }, () => prove(other, "wrong"));
  assert.ok(statusesOf(await Promise.all(guesses)).includes(429));
  await owner`update x3sproxy.account_attempts set next_at = now() + interval '10 minutes' where tries >= 5`;
  assert.equal((await prove(other, PASSWORD)).status, 429);
  assert.equal((await prove(first, PASSWORD)).status, 200);
});

it("codes behind a stolen password are guessed from many networks no faster than from one", async (t) => {
  const { first, browse, enrol, owner, nextCode } = await openPeople(t);
  const { phone } = await enrol(first);
  const wrong = nextCode(phone) === "123456" ? "654321" : "123456";
  const statuses = new Set<number>();
  for (let i = 0; i < 7; i++) {
    statuses.add((await browse().signIn(OWNER_EMAIL, PASSWORD, wrong)).status);
    await owner`update x3sproxy.account_attempts set next_at = now() + interval '10 minutes' where tries >= 5`;
  }
  assert.deepEqual(statuses, new Set([401, 429]));
  assert.equal((await browse().signIn(OWNER_EMAIL, PASSWORD, nextCode(phone))).status, 429);
});

it("an API key that has used up its requests still suspends, at once and while junk comes in", async (t) => {
  const { first, send } = await openPeople(t);
  const made = await first.call("POST", "/api-keys", {
    ...{ name: "stop", role: "admin", requestsPerMinute: 1 },
  });
  const key = String(made.body["key"]);
  const asKey = (method: string, path: string) =>
    send(`/api/v1${path}`, { method, headers: { authorization: `Bearer ${key}` } });
  assert.equal((await asKey("GET", "/agents")).status, 200);
  assert.equal((await asKey("GET", "/agents")).status, 429);
  const junk = Array.from({ length: 300 }, (_, i) =>
    send("/api/v1/agents", {
      headers: { authorization: `Bearer x3skey_${String(i).padStart(32, "J")}` },
    }),
  );
  assert.equal((await asKey("POST", "/workspace/suspend")).status, 200);
  assert.equal((await asKey("POST", "/agents/nobody/suspend")).status, 404);
  assert.equal((await asKey("GET", "/agents")).status, 429);
  assert.ok(
    statusesOf(await Promise.all(junk)).every((status) => status === 401 || status === 429),
  );
});
