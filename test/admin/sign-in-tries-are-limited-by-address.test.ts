import assert from "node:assert/strict";
import { it } from "node:test";
import { createBrowser, newAddress, openPeople, OWNER_EMAIL, PASSWORD } from "./people.ts";
import { openAdmin, type Answer } from "./fixture.ts";

const statuses = (answers: Answer[]) => answers.map(({ status }) => status).sort();

it("wrong ones at one account wait after five; of IPv6 a /64 counts as one address", async (t) => {
  const { url, cookieName, browse, owner } = await openPeople(t);
  const tryFrom = async (address: string) => {
    await owner`update x3sproxy.account_attempts set next_at = next_at + interval '10 minutes' where tries >= 5`;
    return createBrowser(url, cookieName, address).signIn("nobody@example.test");
  };
  const home = newAddress();
  const six = [];
  for (let i = 0; i < 6; i++) six.push(await tryFrom(home));
  assert.deepEqual(statuses(six), [401, 401, 401, 401, 401, 429]);
  const refused = six.at(-1);
  const waitS = Number(refused?.headers.get("retry-after"));
  assert.ok(waitS > 590 && waitS <= 601, String(waitS));
  assert.equal(refused?.body["code"], "too_many_attempts");
  const neighbour = createBrowser(url, cookieName, home);
  assert.equal((await neighbour.signIn(OWNER_EMAIL)).status, 200, "another account is not held up");
  assert.equal((await browse().signIn(OWNER_EMAIL)).status, 200);

  const prefix = [];
  for (let i = 0; i < 6; i++) prefix.push(await tryFrom(`2001:db8:1:2:${i}::${i}`));
  assert.deepEqual(statuses(prefix), [401, 401, 401, 401, 401, 429]);
  assert.equal((await tryFrom("2001:db8:1:3::1")).status, 401);
});

it("many who sign in from one address do not hold each other up", async (t) => {
  const { url, cookieName } = await openPeople(t);
  const office = newAddress();
  for (let i = 0; i < 8; i++) {
    assert.equal((await createBrowser(url, cookieName, office).signIn(OWNER_EMAIL)).status, 200);
  }
});

it("without a trusted proxy X-Forwarded-For says nothing", async (t) => {
  const { send, setupToken, owner } = await openAdmin(t);
  const post = (path: string, body: object, address: string) =>
    send(`/api/v1${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-forwarded-for": address },
      body: JSON.stringify(body),
    });
  const made = { token: setupToken, email: OWNER_EMAIL, password: PASSWORD };
  assert.equal((await post("/setup", made, "203.0.113.1")).status, 201);
  const answers = [];
  for (let i = 0; i < 6; i++) {
    await owner`update x3sproxy.account_attempts set next_at = next_at + interval '10 minutes' where tries >= 5`;
    const body = { email: "nobody@example.test", password: "x" };
    answers.push(await post("/sign-in", body, `203.0.113.${i}`));
  }
  assert.deepEqual(statuses(answers), [401, 401, 401, 401, 401, 429]);
  const rows = await owner`select distinct address from x3sproxy.sessions`;
  assert.deepEqual([...rows], [{ address: "127.0.0.1" }]);
});

it("an address that is none is counted as one that is unknown, and is no error", async (t) => {
  const { url, cookieName, owner } = await openPeople(t);
  for (const address of ["unknown", "x".repeat(300), "_hidden", "1.2.3"]) {
    const answer = await createBrowser(url, cookieName, address).signIn(OWNER_EMAIL);
    assert.equal(answer.status, 200, answer.text);
  }
  const rows = await owner`select from x3sproxy.sessions where address = 'unknown'`;
  assert.ok(rows.count >= 3);
});
