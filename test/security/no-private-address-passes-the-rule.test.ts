// The metadata service, the loopback and the private networks behind us, in every way of writing them.
import assert from "node:assert/strict";
import type { LookupAddress } from "node:dns";
import { test } from "node:test";
import ipaddr from "ipaddr.js";
import { parseOrigin } from "../../src/platform/config-values.ts";
import {
  AddressRefusedError,
  createAddressRule,
  type AddressRule,
} from "../../src/proxy/address-rule.ts";

const cidr = (text: string): readonly [ipaddr.IPv4 | ipaddr.IPv6, number] => ipaddr.parseCIDR(text);

const REFUSED = [
  ...["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "10.0.0.1", "10.255.255.255"],
  ...[
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "100.100.100.200",
  ],
  ...["169.254.169.254", "169.254.0.1", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1"],
  ...["198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1"],
  "255.255.255.255",
  ...[
    "::",
    "::1",
    "fe80::1",
    "fe80::1%lo",
    "febf::1",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
  ],
  // IPv4 inside IPv6: mapped, compatible, translated (NAT64, also local), 6to4, Teredo.
  ...[
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:a9fe:a9fe",
    "::ffff:10.0.0.1",
    "0:0:0:0:0:ffff:c0a8:1",
  ],
  ...["::127.0.0.1", "::7f00:1", "::a9fe:a9fe", "::ffff:0:127.0.0.1", "::ffff:0:7f00:1"],
  ...[
    "64:ff9b::7f00:1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
  ],
  ...[
    "2001:0:7f00:1::",
    "2001::1",
    "100::1",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "4000::1",
    "8000::1",
  ],
  // No addresses.
  ...["", "localhost", "127.0.0.1:80", "[::1]", "1.2.3.4.5", "1.2.3.4 ", "::g"],
];
const ALLOWED = [
  "1.1.1.1",
  "8.8.8.8",
  "172.15.255.255",
  "172.32.0.1",
  "100.63.255.255",
  "100.128.0.1",
  "2606:4700::1111",
  "2a00:1450:4001::200e",
];

test("only public addresses pass, and only over https", () => {
  const rule = createAddressRule([]);
  for (const address of REFUSED) {
    assert.equal(rule.allows(address, "https:"), false, address);
    assert.equal(rule.allows(address, "http:"), false, address);
  }
  for (const address of ALLOWED) {
    assert.equal(rule.allows(address, "https:"), true, address);
    assert.equal(rule.allows(address, "http:"), false, address);
    assert.equal(rule.allows(`::ffff:${address}`, "https:"), !address.includes(":"), address);
  }
});

test("a list opens exactly what is on it, also for plain http", () => {
  const rule = createAddressRule([cidr("10.1.0.0/16"), cidr("fd00:1::/32"), cidr("127.0.0.1/32")]);
  for (const [address, passes] of [
    ["10.1.255.255", true],
    ["::ffff:10.1.0.1", true],
    ["10.2.0.1", false],
    ["fd00:1::1", true],
    ["fd00:2::1", false],
    ["127.0.0.1", true],
    ["127.0.0.2", false],
    ["64:ff9b::7f00:1", false],
    ["::1", false],
    ["169.254.169.254", false],
  ] as const) {
    assert.equal(rule.allows(address, "https:"), passes, address);
    assert.equal(rule.allows(address, "http:"), passes, address);
  }
  assert.equal(rule.allows("1.1.1.1", "https:"), true);
  assert.equal(rule.allows("1.1.1.1", "http:"), false);
});

test("an origin with a private address is refused in every spelling that a URL parser knows", () => {
  const rule = createAddressRule([]);
  for (const host of [
    ...[
      "127.0.0.1",
      "127.1",
      "127.0.1",
      "2130706433",
      "0x7f000001",
      "0x7f.0.0.1",
      "0177.0.0.1",
      "017700000001",
    ],
    ...[
      "127.0.0.1.",
      "%31%32%37.0.0.1",
      "１２７.0.0.1",
      "127。0。0。1",
      "0",
      "0.0.0.0",
      "0xa9fea9fe",
      "169.254.43518",
    ],
    ...[
      "2852039166",
      "[::1]",
      "[::]",
      "[::ffff:127.0.0.1]",
      "[::ffff:7f00:1]",
      "[::7f00:1]",
      "[0:0:0:0:0:0:0:1]",
    ],
    ...["[64:ff9b::a9fe:a9fe]", "[fe80::1]", "[fd00::1]", "10.0.0.1", "192.168.1.1"],
  ]) {
    const origin = parseOrigin(`https://${host}:8443`);
    assert.ok(origin === undefined || rule.originProblem(origin) !== undefined, host);
  }
  assert.match(rule.originProblem("http://llm.example.com") ?? "", /plain http/);
  assert.match(rule.originProblem("http://1.1.1.1") ?? "", /plain http/);
  assert.equal(rule.originProblem("https://llm.example.com"), undefined);
  assert.equal(rule.originProblem("https://1.1.1.1"), undefined);
});

function lookUp(
  rule: AddressRule,
  name: string,
  all: boolean,
): Promise<readonly string[] | NodeJS.ErrnoException> {
  return new Promise((resolve) => {
    rule.lookup("https:")(name, { all }, (error, found: string | LookupAddress[]) => {
      if (error !== null) resolve(error);
      else resolve(typeof found === "string" ? [found] : found.map(({ address }) => address));
    });
  });
}

test("a name yields only those of its addresses that pass", async () => {
  const open = createAddressRule([cidr("127.0.0.0/8"), cidr("::1/128")]);
  const both = await lookUp(open, "localhost", true);
  assert.ok(Array.isArray(both) && both.length > 0);
  for (const all of [true, false]) {
    assert.ok(
      (await lookUp(createAddressRule([]), "localhost", all)) instanceof AddressRefusedError,
    );
    for (const address of both as string[]) {
      const one = createAddressRule([[ipaddr.parse(address), address.includes(":") ? 128 : 32]]);
      assert.deepEqual(await lookUp(one, "localhost", all), [address]);
    }
    const missing = await lookUp(open, "no-such-name.invalid", all);
    assert.ok(missing instanceof Error && !(missing instanceof AddressRefusedError));
  }
});
