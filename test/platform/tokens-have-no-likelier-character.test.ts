import assert from "node:assert/strict";
import { test } from "node:test";
import { isProxyToken, newBearer, PROXY_TOKEN_PREFIX } from "../../src/platform/ids.ts";

const TOKENS = 20_000;
const SUFFIX_LENGTH = 32;
const CHARACTERS = 62;
// 61 degrees of freedom: true randomness goes above it once in some ten million runs, a byte modulo 62 gives about 4,000.
const MAX_CHI_SQUARE = 140;

test("each of the 62 characters comes as often as the others", () => {
  const counts = new Map<string, number>();
  const seen = new Set<string>();
  for (let i = 0; i < TOKENS; i += 1) {
    const token = newBearer(PROXY_TOKEN_PREFIX);
    assert.ok(isProxyToken(token));
    seen.add(token);
    for (const character of token.slice(PROXY_TOKEN_PREFIX.length)) {
      counts.set(character, (counts.get(character) ?? 0) + 1);
    }
  }
  assert.equal(seen.size, TOKENS);
  assert.equal(counts.size, CHARACTERS);
  const expected = (TOKENS * SUFFIX_LENGTH) / CHARACTERS;
  const chiSquare = [...counts.values()].reduce(
    (sum, n) => sum + (n - expected) ** 2 / expected,
    0,
  );
  assert.ok(chiSquare < MAX_CHI_SQUARE, `chi-square ${chiSquare}`);
});

test("each place has all characters", () => {
  const places = Array.from({ length: SUFFIX_LENGTH }, () => new Set<string>());
  for (let i = 0; i < 2_000; i += 1) {
    const suffix = newBearer(PROXY_TOKEN_PREFIX).slice(PROXY_TOKEN_PREFIX.length);
    places.forEach((place, at) => place.add(suffix.charAt(at)));
  }
  assert.ok(places.every((place) => place.size === CHARACTERS));
});

test("nothing but the exact form is a proxy token", () => {
  const token = newBearer(PROXY_TOKEN_PREFIX);
  assert.ok(isProxyToken(token));
  for (const other of [
    token.slice(0, -1),
    `${token}a`,
    ` ${token}`,
    `${token}\n`,
    token.toUpperCase(),
    token.replace("x3sproxy_", "x3skey_"),
    `${token.slice(0, -1)}-`,
    `${token.slice(0, -1)}é`,
  ]) {
    assert.ok(!isProxyToken(other), JSON.stringify(other));
  }
});
