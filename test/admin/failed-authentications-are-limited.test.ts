import assert from "node:assert/strict";
import { it } from "node:test";
import ipaddr from "ipaddr.js";
import type { Cidr } from "../../src/platform/addresses.ts";
import { openAdmin } from "./fixture.ts";

const WRONG_KEY = `x3skey_${"B".repeat(32)}`;

it("after 20 failures in a minute an address gets 429 for further ones, and for nothing else", async (t) => {
  const { call, addKey, clock } = await openAdmin(t);
  const whoami = (key: string | null) => call("GET", "/api/v1/whoami", undefined, key);
  const owner = await addKey("owner");
  const unseen = await addKey("owner");
  assert.equal((await whoami(owner)).status, 200);

  const flood = await Promise.all(Array.from({ length: 40 }, () => whoami(WRONG_KEY)));
  assert.equal(flood.filter(({ status }) => status === 401).length, 20);
  const limited = flood.filter(({ status }) => status === 429);
  assert.equal(limited.length, 20);
  for (const { headers, body } of limited) {
    assert.equal(headers.get("retry-after"), "60");
    assert.equal(body["code"], "too_many_attempts");
  }

  assert.equal((await whoami(unseen)).status, 200);
  assert.equal((await whoami(owner)).status, 200);
  assert.equal((await whoami(WRONG_KEY)).status, 429);
  clock.advance(60_000);
  assert.equal((await whoami(WRONG_KEY)).status, 401);
});

it("requests that show nothing at all are no failures", async (t) => {
  const { call, addKey } = await openAdmin(t);
  for (let i = 0; i < 30; i++) {
    assert.equal((await call("GET", "/api/v1/me", undefined, null)).status, 401);
  }
  assert.equal((await call("GET", "/api/v1/me", undefined, await addKey("viewer"))).status, 200);
});

it("made-up sessions are", async (t) => {
  const { send } = await openAdmin(t);
  const statuses: number[] = [];
  for (let i = 0; i < 22; i++) {
    const cookie = `__Host-x3sproxy-443=x3ssess_${String(i).padStart(43, "A")}`;
    const headers = { cookie, "x3sproxy-session": `x3ssecret_${"A".repeat(43)}` };
    statuses.push((await send("/api/v1/me", { headers })).status);
  }
  assert.deepEqual(statuses, [...Array.from({ length: 20 }, () => 401), 429, 429]);
});

it("attempts with setup links are counted too", async (t) => {
  const { call } = await openAdmin(t);
  const body = {
    token: `x3ssetup_${"B".repeat(32)}`,
    email: "first@example.test",
    password: "a long enough password",
  };
  const statuses: number[] = [];
  for (let i = 0; i < 22; i++)
    statuses.push((await call("POST", "/api/v1/setup", body, null)).status);
  assert.deepEqual(statuses, [...Array.from({ length: 20 }, () => 401), 429, 429]);
});

it("many good requests are no failures", async (t) => {
  const { call, addKey } = await openAdmin(t);
  for (let i = 0; i < 25; i++) {
    const { status } = await call("GET", "/api/v1/whoami", undefined, await addKey("viewer"));
    assert.equal(status, 200);
  }
});

it("X-Forwarded-For says who failed only when it comes from a trusted proxy", async (t) => {
  const flood = async (trustedProxies: Cidr[]): Promise<number[]> => {
    const { send } = await openAdmin(t, { trustedProxies });
    const answers = Array.from({ length: 21 }, (_, i) =>
      send("/api/v1/whoami", {
        headers: { "x-forwarded-for": `203.0.113.${i}`, authorization: `Bearer ${WRONG_KEY}` },
      }),
    );
    return (await Promise.all(answers)).map(({ status }) => status).filter((it) => it === 429);
  };
  assert.deepEqual(await flood([]), [429]);
  assert.deepEqual(await flood([ipaddr.parseCIDR("127.0.0.0/8")]), []);
});
