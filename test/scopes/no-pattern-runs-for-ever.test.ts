// Stars are matched as a plain search would, and in a time that no pattern can drive up.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { matchesGlob, matchesSegments } from "../../src/scopes/path-rules.ts";

/** The meaning of a pattern, by trying everything. */
function means(pattern: readonly string[], text: readonly string[], star: string): boolean {
  const [part, ...rest] = pattern;
  if (part === undefined) return text.length === 0;
  if (part === star) {
    return means(rest, text, star) || (text.length > 0 && means(pattern, text.slice(1), star));
  }
  return text.length > 0 && part === text[0] && means(rest, text.slice(1), star);
}

test("a star stands for any characters, also none", () => {
  const letters = fc.array(fc.constantFrom("a", "b", "*"), { maxLength: 8 });
  const text = fc.array(fc.constantFrom("a", "b"), { maxLength: 10 });
  fc.assert(
    fc.property(letters, text, (pattern, of) => {
      assert.equal(matchesGlob(pattern.join(""), of.join("")), means(pattern, of, "*"));
    }),
    { numRuns: 2000 },
  );
});

test("two stars stand for any segments, also none", () => {
  const parts = fc.array(fc.constantFrom("a", "b", "**"), { maxLength: 6 });
  const path = fc.array(fc.constantFrom("a", "b"), { maxLength: 8 });
  fc.assert(
    fc.property(parts, path, (pattern, of) => {
      assert.equal(matchesSegments(pattern, of), means(pattern, of, "**"));
    }),
    { numRuns: 2000 },
  );
  assert.ok(matchesSegments(["v*", "x:*"], ["v1beta", "x:y"]));
  assert.ok(!matchesSegments(["*"], ["a", "b"]));
  assert.ok(!matchesSegments(["a", "**", "a"], ["a"]));
});

test("the worst pattern on the longest path takes no time worth the name", () => {
  const startedAtMs = performance.now();
  assert.ok(!matchesGlob("*a".repeat(100) + "*b", "a".repeat(60_000)));
  assert.ok(!matchesSegments(["**", "a", "**", "a", "**", "b"], Array<string>(30_000).fill("a")));
  const tookMs = performance.now() - startedAtMs;
  assert.ok(tookMs < 1000, `${tookMs} ms`);
});
