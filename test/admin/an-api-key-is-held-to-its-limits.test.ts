import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import { assertHides, sendTo, stringAt } from "./fixture.ts";
import { assertRefused, openPeople } from "./people.ts";

it("it is shown once, listed without it, and stops at once when it is deleted", async (t) => {
  const { first, call, owner, log, events } = await openPeople(t);
  const wanted = {
    name: " deploys from CI ",
    role: "operator",
    agents: ["coder", "tester"],
    expiresInSeconds: 3600,
    allowedAddresses: ["127.0.0.1", "10.1.2.3/8", "FD00::1/8", "::1"],
    requestsPerMinute: 1000,
  };
  const made = await first.call("POST", "/api-keys", wanted);
  assert.equal(made.status, 201, made.text);
  const key = stringAt(made, "key");
  assert.match(key, /^x3skey_[A-Za-z0-9]{32}$/);
  const { apiKey } = made.body as { apiKey: Record<string, unknown> };
  assert.partialDeepStrictEqual(apiKey, {
    name: "deploys from CI",
    role: "operator",
    agents: ["coder", "tester"],
    allowedAddresses: ["127.0.0.1/32", "10.0.0.0/8", "fd00::/8", "::1/128"],
    requestsPerMinute: 1000,
    lastUsedAt: null,
  });
  const lifeMs = Date.parse(String(apiKey["expiresAt"])) - Date.parse(String(apiKey["createdAt"]));
  assert.equal(lifeMs, 3_600_000);

  const who = await call("GET", "/api/v1/me", undefined, key);
  assert.partialDeepStrictEqual(who.body["me"], { kind: "api_key", agents: ["coder", "tester"] });
  const list = await first.call("GET", "/api-keys");
  const [, used] = list.body["apiKeys"] as { lastUsedAt: string | null }[];
  assert.notEqual(used?.lastUsedAt, null);
  assertHides(list.text + log.join(""), key);
  assert.doesNotMatch(list.text, /hash|until/i);
  const rows = await owner`select to_jsonb(k)::text as text from x3sproxy.api_keys k`;
  assertHides(JSON.stringify(rows), key);

  const path = `/api-keys/${String(apiKey["id"])}`;
  assert.equal((await first.call("DELETE", path)).status, 200);
  assert.equal((await call("GET", "/api/v1/me", undefined, key)).status, 401);
  assertRefused(await first.call("DELETE", path), 404, "api_key_not_found");
  assert.deepEqual(
    [(await events("api_key.create")).length, (await events("api_key.delete")).length],
    [2, 1], // the first key of all is one, too
  );
});

it("it ends when it expires, and its use is written down at most once a minute", async (t) => {
  const { first, call, owner } = await openPeople(t);
  const made = await first.call("POST", "/api-keys", {
    name: "short",
    role: "viewer",
    expiresInSeconds: 60,
  });
  const key = stringAt(made, "key");
  const use = async () => (await call("GET", "/api/v1/secrets", undefined, key)).status;
  const row = async () =>
    (await owner`select xmin, last_used_at from x3sproxy.api_keys where name = 'short'`)[0];
  assert.equal(await use(), 200);
  const before = await row();
  for (let i = 0; i < 5; i++) await use();
  assert.deepEqual(await row(), before);
  await owner`update x3sproxy.api_keys set last_used_at = now() - interval '61 seconds' where name = 'short'`;
  await use();
  const [later] = await owner`
    select last_used_at > now() - interval '10 seconds' as lately from x3sproxy.api_keys where name = 'short'`;
  assert.equal(later?.["lately"], true);
  await owner`update x3sproxy.api_keys set expires_at = now() - interval '1 second' where name = 'short'`;
  assert.equal(await use(), 401);
});

it("from an address outside its list it is refused, and counts as unused", async (t) => {
  const { first, send } = await openPeople(t);
  const made = await first.call("POST", "/api-keys", {
    name: "office",
    role: "viewer",
    allowedAddresses: ["203.0.113.0/24", "2001:db8::/32"],
  });
  const authorization = `Bearer ${stringAt(made, "key")}`;
  const from = (address: string) =>
    send("/api/v1/secrets", { headers: { authorization, "x-forwarded-for": address } });
  for (const address of [
    "203.0.114.1",
    "127.0.0.1",
    "2001:db9::1",
    "::ffff:203.0.114.1",
    "203.0.113",
  ]) {
    assertRefused(await from(address), 403, "address_not_allowed");
  }
  const unused = await first.call("GET", "/api-keys");
  assert.match(unused.text, /"name":"office"[^}]*"lastUsedAt":null/);
  for (const address of ["203.0.113.1", "::ffff:203.0.113.200", "2001:db8:1::1"]) {
    assert.equal((await from(address)).status, 200, address);
  }
});

/** A key that may ask `requestsPerMinute` times, used over two services; `age` lets all of its use be longer ago. */
async function openLimited(t: TestContext, requestsPerMinute: number) {
  const { first, openAnother, owner, url } = await openPeople(t);
  const limited = { name: "limited", role: "viewer", requestsPerMinute };
  const key = stringAt(await first.call("POST", "/api-keys", limited), "key");
  const urls = [url, await openAnother()];
  const use = (i = 0) =>
    sendTo(urls[i % 2] ?? url, "/api/v1/secrets", { headers: { authorization: `Bearer ${key}` } });
  /** How many of `count` requests at one moment, over both services, are let through; the others get 429. */
  const pass = async (count: number): Promise<number> => {
    const answers = await Promise.all(Array.from({ length: count }, (_, i) => use(i)));
    for (const answer of answers.filter(({ status }) => status !== 200)) {
      assertRefused(answer, 429, "too_many_requests");
    }
    return answers.filter(({ status }) => status === 200).length;
  };
  const age = (seconds: number) =>
    owner`update x3sproxy.api_keys set used_until = used_until - ${seconds} * interval '1 second'`;
  return { owner, use, pass, age };
}

it("past its requests a minute it gets 429, over all processes together, and one more after each share of a minute", async (t) => {
  const { use, pass, age } = await openLimited(t, 2);
  assert.equal(await pass(30), 2);
  const refused = await use();
  assertRefused(refused, 429, "too_many_requests");
  const waitS = Number(refused.headers.get("retry-after"));
  assert.ok(waitS > 15 && waitS <= 30, `a share is 30 s; to wait: ${waitS}`);
  await age(waitS);
  assert.equal(await pass(30), 1, "Retry-After was right, and only one share is over");
  await age(30);
  assert.equal(await pass(30), 1);
});

it("there is no edge around which it gets its requests twice", async (t) => {
  const { pass, age } = await openLimited(t, 4);
  let passed = 0;
  const startedMs = performance.now();
  // For three minutes it asks far too much every five seconds.
  for (let second = 0; second < 180; second += 5) {
    const now = await pass(8);
    assert.ok(now <= (second === 0 ? 4 : 1), `${now} at ${second} s`);
    passed += now;
    await age(5);
  }
  const seconds = 180 + (performance.now() - startedMs) / 1000;
  const most = 4 + Math.floor(seconds / 15); // the burst, and one each 15 s
  assert.ok(passed >= 4 + Math.floor(175 / 15) && passed <= most, `${passed} in ${seconds} s`);
});

it("what it does not use it does not save up for longer than a minute", async (t) => {
  const { pass, age } = await openLimited(t, 7);
  assert.equal(await pass(1), 1);
  await age(24 * 3600);
  assert.equal(await pass(20), 7);
});

it("what is refused writes nothing and makes the wait no longer", async (t) => {
  const { use, pass, owner, age } = await openLimited(t, 1);
  assert.equal(await pass(5), 1);
  const row = async () =>
    (
      await owner`select xmin, used_until, last_used_at from x3sproxy.api_keys where name = 'limited'`
    )[0];
  const before = await row();
  for (let i = 0; i < 10; i++) assert.equal((await use(i)).status, 429);
  assert.deepEqual(await row(), before);
  await age(60);
  assert.equal(await pass(5), 1);
});

it("what can't be is refused with what is wrong", async (t) => {
  const { first } = await openPeople(t);
  const base = { name: "ci", role: "viewer" };
  const own = await first.call("POST", "/api-keys", { ...base, name: "bootstrap" });
  assertRefused(own, 409, "name_taken");
  for (const [body, code] of [
    [{ ...base, role: "admin", agents: ["coder"] }, "agents_not_allowed"],
    [{ ...base, allowedAddresses: ["10.0.0.0/33"] }, "address_invalid"],
    [{ ...base, allowedAddresses: ["10.1"] }, "address_invalid"],
    [{ ...base, allowedAddresses: ["example.test"] }, "address_invalid"],
    [{ ...base, name: "" }, "invalid_request"],
    [{ ...base, name: "a\nb" }, "invalid_request"],
    [{ ...base, name: "a\u0000b" }, "invalid_request"],
    [{ ...base, requestsPerMinute: 0 }, "invalid_request"],
    [{ ...base, expiresInSeconds: 1 }, "invalid_request"],
    [{ ...base, expiresInSeconds: 1e12 }, "invalid_request"],
    [{ ...base, key: "x3skey_mine" }, "invalid_request"],
    [{ name: "ci" }, "invalid_request"],
  ] as const) {
    assertRefused(await first.call("POST", "/api-keys", body), 422, code);
  }
});
