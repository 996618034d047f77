// X-Forwarded-For is one list however many lines it comes in, and an address has several spellings. Whoever is behind a trusted proxy
// comes from the address that this proxy wrote, on every listener.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { sourceAddress } from "../../src/platform/addresses.ts";
import { withOwner } from "../../src/db/connection.ts";
import { openAdmin } from "../admin/fixture.ts";
import { ask, openTarget } from "../support/attack.ts";
import { openDataPlane } from "../support/data-plane.ts";
import { inputs } from "../support/generated.ts";

const LOOPBACK = "127.0.0.0/8";
const TRUSTED = [ipaddr.parseCIDR(LOOPBACK), ipaddr.parseCIDR("10.0.0.0/24")];
const STRANGER = "198.51.100.9";
const ALLOWED = "203.0.113.7";

const source = (...lines: string[]): string | undefined =>
  sourceAddress(
    "127.0.0.1",
    ["Host", "x", ...lines.flatMap((line) => ["X-Forwarded-For", line])],
    TRUSTED,
  );

const spellings: readonly ((address: string) => string)[] = [
  (it) => it,
  (it) => `${it}:51234`,
  (it) => `"${it}"`,
  (it) => `"${it}:51234"`,
  (it) => ` ${it}\t`,
  (it) => `::ffff:${it}`,
  (it) => `[::ffff:${it}]:443`,
];
const octet = fc.integer({ min: 0, max: 255 });
const stranger = fc.tuple(octet, octet).map(([a, b]) => `198.51.${a}.${b}`);
const trusted = octet.map((last) => `10.0.0.${last}`);
const written = (address: fc.Arbitrary<string>) =>
  fc.tuple(address, fc.constantFrom(...spellings)).map(([it, spell]) => spell(it));

test("whatever a client writes, in however many lines, the address is the one that the first trusted proxy wrote", () => {
  const anything = fc.oneof(
    written(stranger),
    written(trusted),
    fc.string({ maxLength: 40 }).map((text) => text.replace(/[\r\n]/g, "")),
  );
  fc.assert(
    fc.property(
      fc.array(anything, { maxLength: 6 }),
      stranger,
      fc.constantFrom(...spellings),
      fc.array(written(trusted), { maxLength: 5 }),
      fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
      (clients, address, spell, proxies, breaks) => {
        // As elements of one list, cut into lines anywhere behind what the client wrote, or within it.
        const lines: string[] = [];
        [...clients, spell(address), ...proxies].forEach((element, i) => {
          if (i === 0 || breaks[i] === true) lines.push(element);
          else lines.push(`${lines.pop() ?? ""}, ${element}`);
        });
        assert.equal(source(...lines), address, JSON.stringify(lines));
      },
    ),
    inputs(9, 2000),
  );
});

test("IPv6 in brackets, in quotes, with a port or a zone", () => {
  for (const text of [
    "2001:db8::7",
    "[2001:db8::7]",
    "[2001:db8::7]:51234",
    '"[2001:db8::7]:51234"',
    "2001:DB8:0:0::7",
    "2001:db8::7%eth0",
  ]) {
    assert.equal(source(STRANGER, text), "2001:db8::7", text);
    assert.equal(source(`${STRANGER}, ${text}`, "10.0.0.3:80"), "2001:db8::7", text);
  }
});

test("what can't be read ends the walk: the address is unknown, and nothing left of it counts", () => {
  for (const text of [
    ...["unknown", "_hidden", "1.2.3", "203.0.113.7:", "203.0.113.7:x", "203.0.113.7:123456"],
    ...[
      "[2001:db8::7",
      "2001:db8::7]",
      "[203.0.113.7]x",
      '"203.0.113.7',
      "0x7f.0.0.1",
      "010.0.0.1",
    ],
    ...[
      "3405803783",
      "::ffff:0x7f.1",
      "for=203.0.113.7",
      `${"0".repeat(70)}1.2.3.4`,
      "1.2.3.4 5.6.7.8",
    ],
  ]) {
    assert.equal(source(ALLOWED, text), undefined, text);
    assert.equal(source(`${ALLOWED}, ${text}, 10.0.0.3`), undefined, text);
  }
  assert.equal(source(ALLOWED, "", " , ,"), ALLOWED, "empty elements are none (RFC 9110, 5.6.1)");
  assert.equal(source("", ","), "127.0.0.1");
  assert.equal(source(ALLOWED, Array(40).fill("10.0.0.1").join()), undefined);
});

test("a long list costs no more than a short one", () => {
  const costOf = (headers: readonly string[]): number => {
    const startMs = performance.now();
    for (let i = 0; i < 200; i++) sourceAddress("127.0.0.1", headers, TRUSTED);
    return performance.now() - startMs;
  };
  const short = ["X-Forwarded-For", Array(32).fill("10.0.0.1").join()];
  costOf(short);
  const shortMs = costOf(short);
  for (const part of ["10.0.0.1,", ",", '"', "::1,", "a"]) {
    const long = ["X-Forwarded-For", part.repeat(48_000 / part.length)];
    assert.ok(costOf(long) < 20 * shortMs + 50, part);
  }
});

test("data plane: a scope's addresses, the log, activity's address and the limit on registrations", async (t) => {
  const target = await openTarget(t, { env: { X3SPROXY_TRUSTED_PROXIES: LOOPBACK } });
  const { plane } = target;
  const token = await plane.deploy("away", { addresses: [ALLOWED] });
  const from = async (...lines: string[]): Promise<string | number> => {
    const answer = await target.ask([
      "GET /openai/v1/models HTTP/1.1",
      `Authorization: Bearer ${token}`,
      ...lines.map((line) => `X-Forwarded-For: ${line}`),
    ]);
    return answer.header("x3sproxy-refusal") ?? answer.status;
  };
  assert.equal(await from(ALLOWED), 200);
  assert.equal(await from(STRANGER, `${ALLOWED}:51234`), 200);
  target.sent();
  assert.equal(await from(ALLOWED, STRANGER), "address_not_allowed");
  assert.equal(await from(ALLOWED, `"${STRANGER}:1"`), "address_not_allowed");
  assert.equal(await from(ALLOWED, "nonsense"), "address_not_allowed");
  assert.equal(target.sent(), "");
  await plane.exchange((line) => line["address"] === STRANGER);

  const statuses: number[] = [];
  for (let i = 0; i < 32; i++) {
    const answer = await ask(plane.port, [
      "POST /_x3sproxy/register HTTP/1.1",
      "Content-Length: 0",
      `X-Forwarded-For: 192.0.2.${i}`,
      `X-Forwarded-For: ${STRANGER}:${1000 + i}`,
    ]);
    statuses.push(answer.status);
  }
  assert.deepEqual([statuses[0], statuses.at(-1)], [401, 429], "counted as one");
});

test("admin side: the limit on guesses, the log and the audit", async (t) => {
  const admin = await openAdmin(t, { trustedProxies: TRUSTED });
  const { host } = new URL(admin.url);
  const whoami = (authorization: string, ...lines: string[]) =>
    ask(admin.port, [
      "GET /api/v1/whoami HTTP/1.1",
      `Host: ${host}`,
      `Authorization: ${authorization}`,
      ...lines.map((line) => `X-Forwarded-For: ${line}`),
    ]);
  const statuses: number[] = [];
  for (let i = 0; i < 21; i++) {
    const wrong = await whoami("Bearer x3skey_wrong", `192.0.2.${i}`, `${STRANGER}:${2000 + i}`);
    statuses.push(wrong.status);
  }
  assert.deepEqual([statuses[0], statuses.at(-1)], [401, 429], "counted as one");

  // More lines than Node takes by itself: the proxy's stands last.
  const many = Array.from({ length: 2100 }, () => "a:");
  const answer = await ask(
    admin.port,
    [
      "PUT /api/v1/providers/acme HTTP/1.1",
      `Host: ${host}`,
      `Authorization: Bearer ${admin.apiKey}`,
      "Content-Type: application/json",
      "Content-Length: 35",
      `X-Forwarded-For: ${STRANGER}`,
      ...many,
      `X-Forwarded-For: ${ALLOWED}:4711`,
    ],
    '{"origin":"https://a.example.test"}',
  );
  assert.equal(answer.status, 200, answer.text);
  const events = await admin.owner`
    select address from x3sproxy.audit_events where action = 'provider.set'`;
  assert.deepEqual([...events], [{ address: ALLOWED }]);
});

test("admin side: a field of which there is one is refused when it comes twice", async (t) => {
  const admin = await openAdmin(t);
  const { host } = new URL(admin.url);
  const good = [`Host: ${host}`, `Authorization: Bearer ${admin.apiKey}`];
  const call = (...lines: string[]) =>
    ask(admin.port, ["GET /api/v1/whoami HTTP/1.1", ...good, ...lines]);
  assert.equal((await call()).status, 200);
  assert.equal((await call("Accept: a/b", "Accept: c/d")).status, 200);
  for (const line of [
    ...[
      "Host: evil.example",
      "authorization: Bearer x3skey_other",
      `AUTHORIZATION: ${good[1] ?? ""}`,
    ],
    ...["Origin: null\r\nOrigin: null", "Sec-Fetch-Site: none\r\nSec-Fetch-Site: none"],
    ...["X3sproxy-Session: a\r\nX3sproxy-Session: b", "Idempotency-Key: a\r\nIdempotency-Key: b"],
    ...["Content-Type: a/b\r\nContent-Type: application/json"],
  ]) {
    assert.equal((await call(line)).status, 400, line);
  }
});

test("without a trusted proxy no line of it says anything", async (t) => {
  const plane = await openDataPlane(t);
  const token = await plane.deploy("away", { addresses: [ALLOWED] });
  const answer = await ask(plane.port, [
    "GET /openai/v1/models HTTP/1.1",
    `Authorization: Bearer ${token}`,
    `X-Forwarded-For: ${ALLOWED}`,
    `X-Forwarded-For: ${ALLOWED}`,
  ]);
  assert.equal(answer.header("x3sproxy-refusal"), "address_not_allowed");
  const rows = await withOwner(
    plane.ownerUrl,
    (sql) => sql`select from x3sproxy.audit_events where address = ${ALLOWED}`,
  );
  assert.equal(rows.length, 0);
});
