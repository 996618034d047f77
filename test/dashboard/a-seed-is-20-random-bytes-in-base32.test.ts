import assert from "node:assert/strict";
import { it } from "node:test";
import { base32, grouped, newSeed, otpauthUrl } from "../../src/dashboard/totp.ts";

it("base32 is as in RFC 4648, 10, without the padding", () => {
  const vectors = { f: "MY", fo: "MZXQ", foo: "MZXW6", foob: "MZXW6YQ", fooba: "MZXW6YTB" };
  for (const [text, encoded] of Object.entries(vectors)) {
    assert.equal(base32(new TextEncoder().encode(text)), encoded);
  }
  assert.equal(base32(new Uint8Array()), "");
});

it("a seed has 32 characters, and no two are the same", () => {
  const seeds = new Set(Array.from({ length: 1000 }, newSeed));
  assert.equal(seeds.size, 1000);
  for (const seed of seeds) assert.match(seed, /^[A-Z2-7]{32}$/);
  assert.equal(grouped("ABCDEFGH"), "ABCD EFGH");
});

it("the URL for the authenticator app names account and workspace, whatever is in them", () => {
  const url = new URL(otpauthUrl("MZXW6YTB", "a+b@example.com", "R&D / 1:1"));
  assert.equal(url.protocol, "otpauth:");
  assert.equal(decodeURIComponent(url.pathname), "/x3sproxy R&D / 1:1:a+b@example.com");
  assert.deepEqual(Object.fromEntries(url.searchParams), {
    secret: "MZXW6YTB",
    issuer: "x3sproxy R&D / 1:1",
    algorithm: "SHA1",
    digits: "6",
    period: "30",
  });
});
