import assert from "node:assert/strict";
import { it } from "node:test";
import { assertHides, stringAt } from "./fixture.ts";
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
  assert.doesNotMatch(list.text, /hash|window/i);
  const rows = await owner`select to_jsonb(k)::text as text from x3sproxy.api_keys k`;
  assertHides(JSON.stringify(rows), key);

  const path = `/api-keys/${String(apiKey["id"])}`;
  assert.equal((await first.call("DELETE", path)).status, 200);
  assert.equal((await call("GET", "/api/v1/me", undefined, key)).status, 401);
  assertRefused(await first.call("DELETE", path), 404, "api_key_not_found");
  assert.deepEqual(
    [(await events("api_key.create")).length, (await events("api_key.delete")).length],
    [1, 1],
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

it("past its requests a minute it gets 429, over all processes together, until the minute is over", async (t) => {
  const { first, call, send, openAnother, owner } = await openPeople(t);
  const made = await first.call("POST", "/api-keys", {
    name: "slow",
    role: "viewer",
    requestsPerMinute: 10,
  });
  const key = stringAt(made, "key");
  const another = await openAnother();
  const there = async () => {
    const response = await fetch(`${another}/api/v1/secrets`, {
      headers: { authorization: `Bearer ${key}` },
    });
    await response.arrayBuffer();
    return response.status;
  };
  const here = async () => (await call("GET", "/api/v1/secrets", undefined, key)).status;
  const statuses = await Promise.all(
    Array.from({ length: 30 }, (_, i) => (i % 2 ? here() : there())),
  );
  assert.equal(statuses.filter((status) => status === 200).length, 10);
  assert.equal(statuses.filter((status) => status === 429).length, 20);
  const refused = await send("/api/v1/secrets", { headers: { authorization: `Bearer ${key}` } });
  assertRefused(refused, 429, "too_many_requests");
  const waitS = Number(refused.headers.get("retry-after"));
  assert.ok(waitS > 30 && waitS <= 60, String(waitS));
  await owner`update x3sproxy.api_keys set window_started_at = now() - interval '60 seconds' where name = 'slow'`;
  assert.equal(await here(), 200);
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
