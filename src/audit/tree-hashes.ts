// The hashes for many inclusion proofs in a row. Reads the tree in tiles of 256 hashes and caches a bounded number of them. Must never
// change the tree.
import type { Pool } from "../db/index.ts";
import { coverOf, inclusionRanges, joinPeaks, nodeHash, TILE_LEVELS } from "./merkle.ts";
import { TreeDamagedError } from "./tree-store.ts";

const TILE_WIDTH = 2 ** TILE_LEVELS;
const MAX_TILES = 32;

/** Up to 256 hashes of a level, from index `first` on, by index. */
export type LoadTile = (level: number, first: number) => Promise<ReadonlyMap<number, Buffer>>;

/** For a tree whose size doesn't change meanwhile. */
export class TreeHashes {
  readonly #load: LoadTile;
  readonly #tiles = new Map<string, Tile>();

  constructor(load: LoadTile) {
    this.#load = load;
  }

  /** RFC 6962, 2.1.1: the proof that leaf `index` is in the tree of `size` leaves. Throws TreeDamagedError. */
  async inclusionProof(index: number, size: number): Promise<Buffer[]> {
    const hashes: Buffer[] = [];
    for (const [start, end] of inclusionRanges(index, size)) {
      const parts: Buffer[] = [];
      for (const { level, index: at } of coverOf(start, end)) {
        parts.push(await this.#subtree(level, at));
      }
      const joined = joinPeaks(parts);
      if (joined !== undefined) hashes.push(joined);
    }
    return hashes;
  }

  async #subtree(level: number, index: number): Promise<Buffer> {
    const above = level % TILE_LEVELS;
    const kept = level - above;
    const tileIndex = Math.floor((index * 2 ** above) / TILE_WIDTH);
    const tile = await this.#tile(kept, tileIndex);
    return tile.hash(above, index - tileIndex * 2 ** (TILE_LEVELS - above));
  }

  async #tile(level: number, index: number): Promise<Tile> {
    const key = `${level}/${index}`;
    const found = this.#tiles.get(key);
    const tile = found ?? new Tile(level, await this.#load(level, index * TILE_WIDTH), index);
    // The most recently used tile is the last.
    this.#tiles.delete(key);
    this.#tiles.set(key, tile);
    for (const oldest of this.#tiles.keys()) {
      if (this.#tiles.size <= MAX_TILES) break;
      this.#tiles.delete(oldest);
    }
    return tile;
  }
}

class Tile {
  readonly #level: number;
  readonly #first: number;
  readonly #hashes: ReadonlyMap<number, Buffer>;
  readonly #made = new Map<number, Buffer>();

  constructor(level: number, hashes: ReadonlyMap<number, Buffer>, index: number) {
    this.#level = level;
    this.#first = index * TILE_WIDTH;
    this.#hashes = hashes;
  }

  /** The hash of the `index`th subtree of this tile, `above` levels above the tile's own level. */
  hash(above: number, index: number): Buffer {
    if (above === 0) {
      const place = this.#first + index;
      const hash = this.#hashes.get(place);
      if (hash !== undefined) return hash;
      throw new TreeDamagedError(`the audit's tree lacks node ${place} of level ${this.#level}`);
    }
    const key = above * TILE_WIDTH + index;
    let made = this.#made.get(key);
    if (made === undefined) {
      made = nodeHash(this.hash(above - 1, 2 * index), this.hash(above - 1, 2 * index + 1));
      this.#made.set(key, made);
    }
    return made;
  }
}

/** Reads tiles from the database. Rejects with StoreUnavailableError. */
export function tileLoader(pool: Pool, workspaceId: string): LoadTile {
  return async (level, first) => {
    const end = first + TILE_WIDTH;
    const rows = await pool.inWorkspace(workspaceId, (sql) =>
      level === 0
        ? sql<{ place: string; hash: Buffer }[]>`
            select leaf_index as place, leaf_hash as hash from x3sproxy.audit_leaves
            where workspace_id = ${workspaceId} and leaf_index >= ${first} and leaf_index < ${end}`
        : sql<{ place: string; hash: Buffer }[]>`
            select node_index as place, hash from x3sproxy.audit_nodes
            where workspace_id = ${workspaceId} and level = ${level} and node_index >= ${first} and node_index < ${end}`,
    );
    return new Map(rows.map(({ place, hash }) => [Number(place), hash]));
  };
}
