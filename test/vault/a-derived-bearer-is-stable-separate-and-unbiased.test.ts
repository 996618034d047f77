import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import test from "node:test";
import { bearerOf, isProxyToken, PROXY_TOKEN_PREFIX } from "../../src/platform/ids.ts";
import { createVault } from "../../src/vault/index.ts";
import { Derivation } from "../../src/vault/service-keys.ts";
import { ringOf } from "./fixture.ts";

const bytes = randomBytes(32);
const vaultOf = async (root: Buffer) =>
  createVault(await ringOf(randomBytes(32).toString("base64")), new Derivation(Buffer.from(root)));
const vault = await vaultOf(bytes);
const derive = (...purpose: string[]): string => vault.deriveBearer(PROXY_TOKEN_PREFIX, purpose);

const CHARACTERS = 62;
// 61 degrees of freedom: true randomness goes above it once in some ten million runs, a byte modulo 62 gives about 4,000.
const MAX_CHI_SQUARE = 140;

test("the same purpose gives the same token in every process", async () => {
  const token = derive("deployment", "a", "1");
  assert.ok(isProxyToken(token));
  const again = await vaultOf(bytes);
  assert.equal(again.deriveBearer(PROXY_TOKEN_PREFIX, ["deployment", "a", "1"]), token);
});

test("purposes and roots don't share any, however a purpose is cut", async () => {
  const other = await vaultOf(randomBytes(32));
  const tokens = [
    derive("a", "b"),
    derive("a,b"),
    derive("ab"),
    derive("a", "b", ""),
    derive("", "a", "b"),
    derive('a","b'),
    derive("a", "b", "0"),
    other.deriveBearer(PROXY_TOKEN_PREFIX, ["a", "b"]),
  ];
  assert.equal(new Set(tokens).size, tokens.length);
  for (const token of tokens) assert.ok(isProxyToken(token));
});

test("each of the 62 characters comes as often as the others", () => {
  const counts = new Map<string, number>();
  const tokens = 10_000;
  for (let i = 0; i < tokens; i++) {
    for (const character of derive(String(i)).slice(PROXY_TOKEN_PREFIX.length)) {
      counts.set(character, (counts.get(character) ?? 0) + 1);
    }
  }
  assert.equal(counts.size, CHARACTERS);
  const expected = (tokens * 32) / CHARACTERS;
  const chiSquare = [...counts.values()].reduce(
    (sum, n) => sum + (n - expected) ** 2 / expected,
    0,
  );
  assert.ok(chiSquare < MAX_CHI_SQUARE, `chi-square ${chiSquare}`);
});

test("bytes that would make a character likelier are thrown away, and more are asked for", () => {
  const blocks = [
    Uint8Array.of(255, 248, 0),
    new Uint8Array(10).fill(61),
    new Uint8Array(64).fill(62),
  ];
  let asked = 0;
  const token = bearerOf("x_", () => blocks[asked++] ?? new Uint8Array());
  assert.equal(asked, 3);
  assert.equal(token, `x_A${"9".repeat(10)}${"A".repeat(21)}`);
});
