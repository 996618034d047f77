// What NO_PROXY means. Where curl 7.88 and Go 1.26 agree on a line, it says what both of them do (they were asked); the others are
// marked by who takes them.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readNoProxy } from "../../src/platform/no-proxy.ts";
import { inputs } from "../support/generated.ts";

const SEED = 26;

/** NO_PROXY, a host and port, whether it is reached past the proxy. */
const CASES: readonly (readonly [string, string, number, boolean])[] = [
  // names
  ["example.com", "example.com", 443, true],
  ["example.com", "www.example.com", 443, true],
  ["example.com", "a.b.example.com", 8443, true],
  ["example.com", "wwwexample.com", 443, false],
  ["example.com", "example.com.evil.test", 443, false],
  ["example.com", "example.co", 443, false],
  ["www.example.com", "example.com", 443, false],
  ["EXAMPLE.com", "example.COM", 443, true],
  [".example.com", "www.example.com", 443, true],
  [".example.com", "wwwexample.com", 443, false],
  ["com", "example.com", 443, true],
  ["example", "example.com", 443, false],
  ["host-1", "host-1", 443, true],
  // lists
  ["other.test,example.com", "example.com", 443, true],
  ["other.test, example.com", "example.com", 443, true],
  [" ,,other.test ,, example.com,, ", "example.com", 443, true],
  ["other.test,another.test", "example.com", 443, false],
  ["", "example.com", 443, false],
  [",", "example.com", 443, false],
  // all
  ["*", "example.com", 443, true],
  ["*", "10.1.2.3", 443, true],
  ["*", "2001:db8::1", 443, true],
  // addresses
  ["10.1.2.3", "10.1.2.3", 443, true],
  ["10.1.2.3", "10.1.2.33", 443, false],
  ["10.1.2.3", "110.1.2.3", 443, false],
  ["10.1.2.3", "10.1.2.3.example.com", 443, false],
  ["2001:db8::1", "2001:db8::1", 443, true],
  ["2001:db8::1", "2001:db8::11", 443, false],
  // blocks
  ["10.0.0.0/8", "10.1.2.3", 443, true],
  ["10.0.0.0/8", "11.1.2.3", 443, false],
  ["10.9.9.9/8", "10.1.2.3", 443, true],
  ["192.168.4.0/22", "192.168.7.255", 443, true],
  ["192.168.4.0/22", "192.168.8.0", 443, false],
  ["10.1.2.3/32", "10.1.2.3", 443, true],
  ["10.1.2.2/31", "10.1.2.4", 443, false],
  ["2001:db8::/32", "2001:db9::1", 443, false],
  ["2001:db8::/127", "2001:db8::2", 443, false],
  ["10.0.0.0/8", "example.com", 443, false],
  ["10.0.0.0/8", "10.example.com", 443, false],
  ["10.0.0.0/33", "10.1.2.3", 443, false],
  ["10.0.0.0/x", "10.1.2.3", 443, false],
  ["10.0.0.0/8,example.com", "example.com", 443, true],
];

/** What one of them takes and another doesn't. */
const DIALECTS: readonly (readonly [string, string, number, boolean])[] = [
  // curl: a dot in front changes nothing; to Go and httpx it leaves the name itself out
  [".example.com", "example.com", 443, true],
  // Go
  ["2001:DB8:0:0:0:0:0:1", "2001:db8::1", 443, true],
  ["2001:db8::/32", "2001:db8:1::9", 443, true],
  ["2001:db8::/127", "2001:db8::1", 443, true],
  ["*.example.com", "www.example.com", 443, true],
  ["*.example.com", "wwwexample.com", 443, false],
  ["example.com:8443", "example.com", 8443, true],
  ["example.com:8443", "www.example.com", 8443, true],
  ["example.com:8443", "example.com", 443, false],
  [".example.com:8443", "www.example.com", 8443, true],
  ["10.1.2.3:8443", "10.1.2.3", 8443, true],
  ["10.1.2.3:8443", "10.1.2.3", 443, false],
  ["[2001:db8::1]:443", "2001:db8::1", 443, true],
  ["[2001:db8::1]:443", "2001:db8::1", 8443, false],
  ["other.test,*", "example.com", 443, true],
  ["bücher.example", "xn--bcher-kva.example", 443, true],
  // curl
  ["other.test example.com", "example.com", 443, true],
  ["example.com.", "example.com", 443, true],
  ["example.com", "example.com.", 443, true],
  ["example.com.", "www.example.com.", 443, true],
  // curl and httpx: an address is no name
  ["2.3", "10.1.2.3", 443, false],
  [".2.3", "10.1.2.3", 443, false],
  // IPv4 as a socket for both writes it
  ["10.0.0.0/8", "::ffff:10.1.2.3", 443, true],
  ["::ffff:10.0.0.0/104", "10.1.2.3", 443, true],
  ["10.1.2.3", "::ffff:a01:203", 443, true],
  // Nobody's, and the service's own
  ["[2001:db8::1]", "2001:db8::1", 443, true],
  ["0.0.0.0/0", "10.1.2.3", 443, true],
  ["0.0.0.0/0", "2001:db8::1", 443, false],
  ["::/0", "2001:db8::1", 443, true],
  ["10.0.0.0/8:443", "10.1.2.3", 443, true],
  ["10.0.0.0/8:443", "10.1.2.3", 8443, false],
  ["https://example.com", "example.com", 443, false],
  [":443", "example.com", 443, false],
  [".", "example.com", 443, false],
  ["2001:db8::1:443", "2001:db8::1", 443, false],
];

test("each form", () => {
  for (const [text, host, port, expected] of [...CASES, ...DIALECTS]) {
    assert.equal(readNoProxy(text)(host, port), expected, `NO_PROXY=${text} ${host}:${port}`);
  }
});

test("blocks of every size, by the bits of their addresses", () => {
  const address = fc.integer({ min: 0, max: 2 ** 32 - 1 });
  const text = (bits: number): string =>
    [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join(".");
  fc.assert(
    fc.property(address, address, fc.integer({ min: 0, max: 32 }), (a, b, size) => {
      // Of the second address, so many first bits are the first one's.
      const kept = size === 0 ? 0 : (-1 << (32 - size)) >>> 0;
      const near = ((a & kept) | (b & ~kept)) >>> 0;
      const bypasses = readNoProxy(`${text(a)}/${size}`);
      assert.ok(bypasses(text(near), 443));
      const isIn = (a & kept) >>> 0 === (b & kept) >>> 0;
      assert.equal(bypasses(text(b), 443), isIn);
    }),
    inputs(SEED, 3000),
  );
});

test("a name, wherever it stands among others, for itself and all below it, and for no other", () => {
  const label = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}[a-z0-9]$/);
  const name = fc.array(label, { minLength: 2, maxLength: 4 }).map((labels) => labels.join("."));
  fc.assert(
    fc.property(
      name,
      fc.array(name, { maxLength: 3 }),
      label,
      fc.constantFrom(",", ", ", " ", ",,\t"),
      (wanted, others, below, separator) => {
        const bypasses = readNoProxy([...others, wanted.toUpperCase()].join(separator));
        for (const host of [wanted, `${below}.${wanted}`, `${wanted}.`]) {
          assert.ok(bypasses(host, 443), host);
        }
        fc.pre(!`${wanted}.${below}`.endsWith(`.${wanted}`));
        const alone = readNoProxy(wanted);
        for (const host of [`${below}${wanted}`, `${wanted}${below}`, `${wanted}.${below}`]) {
          assert.ok(!alone(host, 443), host);
        }
      },
    ),
    inputs(SEED, 1000),
  );
});

test("anything at all can be read, and matches nothing that it does not name", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const bypasses = readNoProxy(text);
      if (!text.includes("*")) assert.equal(bypasses("a-name-of-nobody.test", 443), false);
    }),
    inputs(SEED, 1000),
  );
});
