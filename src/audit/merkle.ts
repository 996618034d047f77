// The Merkle tree of RFC 6962 (RFC 9162 has the algorithms in full): roots, proofs, and their verification. Pure functions on hashes and
// indexes. Must not know events or the database.
import { createHash } from "node:crypto";

export const HASH_BYTES = 32;
/** The database stores the leaves, and the hashes of full subtrees at every level that is a multiple of this. */
export const TILE_LEVELS = 8;

const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);

/** A full subtree of 2^level leaves, the `index`th from the left. */
export interface Subtree {
  readonly level: number;
  readonly index: number;
}

/** RFC 6962, 2.1: the hash of a leaf. */
export function leafHash(data: Uint8Array): Buffer {
  return createHash("sha256").update(LEAF).update(data).digest();
}

/** RFC 6962, 2.1: the hash of a node. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  return createHash("sha256").update(NODE).update(left).update(right).digest();
}

/** The root of no leaves. */
export function emptyRoot(): Buffer {
  return createHash("sha256").digest();
}

/** Leaves added one by one from the left, in memory that grows with the logarithm of their number. */
export class GrowingTree {
  #size: number;
  // The roots of the full subtrees that cover the leaves, the largest first.
  readonly #peaks: { level: number; hash: Buffer }[] = [];

  /** Continues a tree of `size` leaves. `peaks`: the hashes of the full subtrees that cover them (`peaksOf(size)`). */
  constructor(size = 0, peaks: readonly Uint8Array[] = []) {
    this.#size = size;
    this.#peaks = peaksOf(size).map(({ level }, i) => {
      const hash = peaks[i];
      if (hash === undefined) throw new RangeError("a peak is missing");
      return { level, hash: Buffer.from(hash) };
    });
  }

  get size(): number {
    return this.#size;
  }

  /** Appends a leaf by its hash. Calls `onSubtree` for each full subtree that it completes, the smallest first. */
  append(hash: Uint8Array, onSubtree?: (subtree: Subtree, hash: Buffer) => void): void {
    let made: { level: number; hash: Buffer } = { level: 0, hash: Buffer.from(hash) };
    const position = this.#size;
    for (;;) {
      const last = this.#peaks.at(-1);
      if (last?.level !== made.level) break;
      this.#peaks.pop();
      made = { level: made.level + 1, hash: nodeHash(last.hash, made.hash) };
      onSubtree?.({ level: made.level, index: Math.floor(position / 2 ** made.level) }, made.hash);
    }
    this.#peaks.push(made);
    this.#size += 1;
  }

  root(): Buffer {
    return joinPeaks(this.#peaks.map(({ hash }) => hash)) ?? emptyRoot();
  }
}

/** The full subtrees that cover the first `size` leaves, the largest first. */
export function peaksOf(size: number): Subtree[] {
  return coverOf(0, size);
}

/**
 * The full subtrees that cover the leaves from `start` up to, not including, `end`. A subtree as large as the range must be able to begin
 * at `start`.
 */
export function coverOf(start: number, end: number): Subtree[] {
  const cover: Subtree[] = [];
  let at = start;
  while (at < end) {
    let level = 0;
    while (at % 2 ** (level + 1) === 0 && at + 2 ** (level + 1) <= end) level += 1;
    cover.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return cover;
}

/** The hash of a range of leaves, from the hashes of the subtrees that cover it; undefined for an empty range. */
export function joinPeaks(hashes: readonly Uint8Array[]): Buffer | undefined {
  let joined: Buffer | undefined;
  for (const hash of [...hashes].reverse()) {
    joined = joined === undefined ? Buffer.from(hash) : nodeHash(hash, joined);
  }
  return joined;
}

/** A range of leaves from `start` up to, not including, `end`. */
export type Range = readonly [start: number, end: number];

/** RFC 6962, 2.1.1: the ranges whose hashes prove that leaf `index` is in the tree of `size` leaves, from the leaf upwards. */
export function inclusionRanges(index: number, size: number): Range[] {
  if (!(index >= 0 && index < size)) throw new RangeError("no such leaf");
  const ranges: Range[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + largestPowerBelow(end - start);
    if (index < middle) {
      ranges.push([middle, end]);
      end = middle;
    } else {
      ranges.push([start, middle]);
      start = middle;
    }
  }
  return ranges.reverse();
}

/** RFC 6962, 2.1.2: the ranges whose hashes prove that the tree of `size` leaves begins with that of `oldSize`. */
export function consistencyRanges(oldSize: number, size: number): Range[] {
  if (!(oldSize > 0 && oldSize <= size)) throw new RangeError("no such tree");
  const ranges: Range[] = [];
  let start = 0;
  let end = size;
  let whole = true;
  while (oldSize !== end) {
    const middle = start + largestPowerBelow(end - start);
    if (oldSize <= middle) {
      ranges.push([middle, end]);
      end = middle;
    } else {
      ranges.push([start, middle]);
      start = middle;
      whole = false;
    }
  }
  if (!whole) ranges.push([start, end]);
  return ranges.reverse();
}

/** RFC 9162, 2.1.3.2: whether `proof` shows that a leaf with this hash is the `index`th of the tree with this root. */
export function provesInclusion(o: {
  readonly index: number;
  readonly size: number;
  readonly leaf: Uint8Array;
  readonly proof: readonly Uint8Array[];
  readonly root: Uint8Array;
}): boolean {
  if (!Number.isSafeInteger(o.index) || o.index < 0 || o.index >= o.size) return false;
  let hash: Buffer = Buffer.from(o.leaf);
  const arrives = climb(o.index, o.size - 1, o.proof, (sibling, isLeft) => {
    hash = isLeft ? nodeHash(sibling, hash) : nodeHash(hash, sibling);
  });
  return arrives && hash.equals(o.root);
}

/** RFC 9162, 2.1.4.2: whether `proof` shows that the tree with `root` begins with the one with `oldRoot`. */
export function provesConsistency(o: {
  readonly oldSize: number;
  readonly oldRoot: Uint8Array;
  readonly size: number;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}): boolean {
  const { oldSize, size } = o;
  if (!(Number.isSafeInteger(oldSize) && oldSize > 0 && oldSize <= size)) return false;
  if (oldSize === size) return o.proof.length === 0 && Buffer.from(o.root).equals(o.oldRoot);
  const path = isPowerOfTwo(oldSize) ? [o.oldRoot, ...o.proof] : [...o.proof];
  const [first, ...rest] = path;
  if (first === undefined) return false;
  let fn = oldSize - 1;
  let sn = size - 1;
  while (fn % 2 === 1) {
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  let oldHash: Buffer = Buffer.from(first);
  let hash: Buffer = oldHash;
  const arrives = climb(fn, sn, rest, (sibling, isLeft) => {
    if (isLeft) oldHash = nodeHash(sibling, oldHash);
    hash = isLeft ? nodeHash(sibling, hash) : nodeHash(hash, sibling);
  });
  return arrives && oldHash.equals(o.oldRoot) && hash.equals(o.root);
}

/**
 * The climb to the root that the algorithms of RFC 9162 share, from node `fn` of a level whose last node is `sn`. Calls `take` with each
 * sibling and whether it is on the left. Returns whether the last sibling leads to the root.
 */
function climb(
  fn: number,
  sn: number,
  siblings: readonly Uint8Array[],
  take: (sibling: Uint8Array, isLeft: boolean) => void,
): boolean {
  for (const sibling of siblings) {
    if (sn === 0) return false;
    const isLeft = fn % 2 === 1 || fn === sn;
    take(sibling, isLeft);
    while (isLeft && fn % 2 === 0 && fn !== 0) {
      fn = Math.floor(fn / 2);
      sn = Math.floor(sn / 2);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0;
}

function largestPowerBelow(n: number): number {
  let power = 1;
  while (power * 2 < n) power *= 2;
  return power;
}

function isPowerOfTwo(n: number): boolean {
  return Number.isInteger(Math.log2(n));
}
