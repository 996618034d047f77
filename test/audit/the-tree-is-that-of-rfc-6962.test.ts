import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import fc from "fast-check";
import {
  consistencyRanges,
  coverOf,
  emptyRoot,
  GrowingTree,
  inclusionRanges,
  joinPeaks,
  leafHash,
  peaksOf,
  provesConsistency,
  provesInclusion,
  type Range,
} from "../../src/audit/merkle.ts";

const sha = (...parts: Uint8Array[]): Buffer =>
  parts.reduce((h, part) => h.update(part), createHash("sha256")).digest();

/** The definition of RFC 6962, 2.1, word for word. */
function mth(leaves: readonly Uint8Array[]): Buffer {
  const [first] = leaves;
  if (first === undefined) return sha();
  if (leaves.length === 1) return sha(Buffer.of(0), first);
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return sha(Buffer.of(1), mth(leaves.slice(0, k)), mth(leaves.slice(k)));
}

/** RFC 6962, 2.1.1, word for word. */
function path(m: number, leaves: readonly Uint8Array[]): Buffer[] {
  if (leaves.length === 1) return [];
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return m < k
    ? [...path(m, leaves.slice(0, k)), mth(leaves.slice(k))]
    : [...path(m - k, leaves.slice(k)), mth(leaves.slice(0, k))];
}

/** RFC 6962, 2.1.2, word for word. */
function proof(m: number, leaves: readonly Uint8Array[], whole = true): Buffer[] {
  if (m === leaves.length) return whole ? [] : [mth(leaves)];
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return m <= k
    ? [...proof(m, leaves.slice(0, k), whole), mth(leaves.slice(k))]
    : [...proof(m - k, leaves.slice(k), false), mth(leaves.slice(0, k))];
}

const leavesOf = (n: number): Buffer[] =>
  Array.from({ length: n }, (_, i) => Buffer.from(`leaf ${i}`));
const hashesOf = (leaves: readonly Buffer[], ranges: readonly Range[]): Buffer[] =>
  ranges.map(([start, end]) => mth(leaves.slice(start, end)));

test("known roots: of nothing, of one empty leaf, of the RFC's eight leaves", () => {
  assert.equal(
    emptyRoot().toString("hex"),
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  );
  // The inputs and roots of the Certificate Transparency reference implementation's tests.
  const inputs = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
  ];
  const tree = new GrowingTree();
  for (const input of inputs) tree.append(leafHash(Buffer.from(input, "hex")));
  assert.equal(
    tree.root().toString("hex"),
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
  );
});

test("roots of every size up to 70, grown and gone on with, are those of the definition", () => {
  const tree = new GrowingTree();
  for (let n = 1; n <= 70; n += 1) {
    const leaves = leavesOf(n);
    const told: string[] = [];
    tree.append(leafHash(leaves[n - 1] ?? Buffer.of()), ({ level, index }, hash) => {
      const size = 2 ** level;
      assert.deepEqual(hash, mth(leaves.slice(index * size, (index + 1) * size)));
      told.push(`${level}/${index}`);
    });
    assert.equal(told.length, Math.log2(n & -n), "each subtree that a leaf completes is told once");
    assert.deepEqual(tree.root(), mth(leaves));
    const peaks = peaksOf(n).map(({ level, index }) =>
      mth(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level)),
    );
    assert.deepEqual(new GrowingTree(n, peaks).root(), mth(leaves));
  }
});

test("inclusion proofs are the RFC's, hold, and hold for nothing else", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 200 }).chain((n) =>
        fc.record({
          n: fc.constant(n),
          m: fc.nat({ max: n - 1 }),
          bit: fc.nat({ max: 255 }),
          other: fc.nat({ max: 300 }),
        }),
      ),
      ({ n, m, bit, other }) => {
        const leaves = leavesOf(n);
        const hashes = hashesOf(leaves, inclusionRanges(m, n));
        assert.deepEqual(hashes, path(m, leaves));
        const root = mth(leaves);
        const leaf = leafHash(leaves[m] ?? Buffer.of());
        const claim = { index: m, size: n, leaf, proof: hashes, root };
        assert.ok(provesInclusion(claim));
        assert.ok(!provesInclusion({ ...claim, leaf: flip(leaf, bit) }));
        assert.ok(!provesInclusion({ ...claim, root: flip(root, bit) }));
        assert.ok(!provesInclusion({ ...claim, proof: [...hashes, root] }));
        if (other !== m) assert.ok(!provesInclusion({ ...claim, index: other }));
        if (hashes.length > 0) {
          assert.ok(!provesInclusion({ ...claim, proof: hashes.slice(1) }));
          const at = bit % hashes.length;
          const edited = hashes.map((hash, i) => (i === at ? flip(hash, bit) : hash));
          assert.ok(!provesInclusion({ ...claim, proof: edited }));
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("consistency proofs are the RFC's, hold, and hold for nothing else", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 200 }).chain((n) =>
        fc.record({
          n: fc.constant(n),
          m: fc.integer({ min: 1, max: n }),
          bit: fc.nat({ max: 255 }),
        }),
      ),
      ({ n, m, bit }) => {
        const leaves = leavesOf(n);
        const hashes = hashesOf(leaves, consistencyRanges(m, n));
        assert.deepEqual(hashes, proof(m, leaves));
        const claim = {
          oldSize: m,
          oldRoot: mth(leaves.slice(0, m)),
          size: n,
          root: mth(leaves),
          proof: hashes,
        };
        assert.ok(provesConsistency(claim));
        assert.ok(!provesConsistency({ ...claim, oldRoot: flip(claim.oldRoot, bit) }));
        assert.ok(!provesConsistency({ ...claim, root: flip(claim.root, bit) }));
        assert.ok(!provesConsistency({ ...claim, proof: [...hashes, claim.root] }));
        if (hashes.length > 0) assert.ok(!provesConsistency({ ...claim, proof: hashes.slice(1) }));
      },
    ),
    { numRuns: 300 },
  );
});

test("a range's cover joins to the range's hash", () => {
  const leaves = leavesOf(100);
  for (const [start, end] of [...inclusionRanges(37, 100), ...consistencyRanges(77, 100)]) {
    const hashes = coverOf(start, end).map(({ level, index }) =>
      mth(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level)),
    );
    assert.deepEqual(joinPeaks(hashes), mth(leaves.slice(start, end)));
  }
});

function flip(hash: Uint8Array, bit: number): Buffer {
  const copy = Buffer.from(hash);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}
