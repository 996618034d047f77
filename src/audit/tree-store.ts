// The tree in the database: its leaves, the hashes of full subtrees at every eighth level, and checkpoints. Must only read and append,
// never change a row.
import type { TransactionSql } from "../db/index.ts";
import {
  coverOf,
  GrowingTree,
  joinPeaks,
  peaksOf,
  TILE_LEVELS,
  type Range,
  type Subtree,
} from "./merkle.ts";

export interface NewLeaf {
  /** As text, since it may exceed the safe integers. */
  readonly eventId: string;
  readonly hash: Buffer;
  /** Lower-case hex. */
  readonly actor: string;
  readonly target: string;
}

export interface StoredCheckpoint {
  readonly size: number;
  readonly note: string;
  readonly createdAt: Date;
}

/** The tree in the database isn't whole, or isn't the one that was signed: somebody has edited it. */
export class TreeDamagedError extends Error {
  override name = "TreeDamagedError";
}

/** The last checkpoint, or undefined before the first. `sql`: confined to the workspace. */
export async function lastCheckpoint(
  sql: TransactionSql,
  workspaceId: string,
): Promise<StoredCheckpoint | undefined> {
  const [row] = await sql<{ size: string; note: string; created_at: Date }[]>`
    select size, note, created_at from x3sproxy.audit_checkpoints
    where workspace_id = ${workspaceId} order by size desc limit 1`;
  return row && { size: Number(row.size), note: row.note, createdAt: row.created_at };
}

/** The tree of the first `size` leaves, to which more can be appended. Throws TreeDamagedError. */
export async function loadTree(
  sql: TransactionSql,
  workspaceId: string,
  size: number,
): Promise<GrowingTree> {
  return new GrowingTree(size, await subtreeHashes(sql, workspaceId, peaksOf(size)));
}

/** The hashes of ranges of leaves, as a proof needs them. Throws TreeDamagedError. */
export async function rangeHashes(
  sql: TransactionSql,
  workspaceId: string,
  ranges: readonly Range[],
): Promise<Buffer[]> {
  const covers = ranges.map(([start, end]) => coverOf(start, end));
  const hashes = await subtreeHashes(sql, workspaceId, covers.flat());
  let at = 0;
  return covers.map((cover) => {
    const joined = joinPeaks(hashes.slice(at, (at += cover.length)));
    if (joined === undefined) throw new RangeError("an empty range has no hash");
    return joined;
  });
}

/** Appends leaves to the tree, and the hashes of the subtrees that they complete. */
export async function appendLeaves(
  sql: TransactionSql,
  workspaceId: string,
  tree: GrowingTree,
  leaves: readonly NewLeaf[],
): Promise<void> {
  const nodes: { workspace_id: string; level: number; node_index: string; hash: Buffer }[] = [];
  const rows = leaves.map((leaf) => {
    const index = tree.size;
    tree.append(leaf.hash, ({ level, index: nodeIndex }, hash) => {
      if (level % TILE_LEVELS !== 0) return;
      nodes.push({ workspace_id: workspaceId, level, node_index: String(nodeIndex), hash });
    });
    return {
      workspace_id: workspaceId,
      leaf_index: String(index),
      event_id: leaf.eventId,
      leaf_hash: leaf.hash,
      actor_commitment: Buffer.from(leaf.actor, "hex"),
      target_commitment: Buffer.from(leaf.target, "hex"),
    };
  });
  await sql`insert into x3sproxy.audit_leaves ${sql(rows)}`;
  if (nodes.length > 0) await sql`insert into x3sproxy.audit_nodes ${sql(nodes)}`;
}

async function subtreeHashes(
  sql: TransactionSql,
  workspaceId: string,
  subtrees: readonly Subtree[],
): Promise<Buffer[]> {
  const needed = subtrees.map(({ level, index }) => {
    const kept = level - (level % TILE_LEVELS);
    const count = 2 ** (level - kept);
    return { kept, first: index * count, count };
  });
  const found = new Map<string, Buffer>();
  for (const kept of new Set(needed.map((each) => each.kept))) {
    const indexes = needed
      .filter((each) => each.kept === kept)
      .flatMap(({ first, count }) => Array.from({ length: count }, (_, i) => first + i));
    const wanted = `{${indexes.join(",")}}`;
    const rows =
      kept === 0
        ? await sql<{ index: string; hash: Buffer }[]>`
            select leaf_index as index, leaf_hash as hash from x3sproxy.audit_leaves
            where workspace_id = ${workspaceId} and leaf_index = any (${wanted}::bigint[])`
        : await sql<{ index: string; hash: Buffer }[]>`
            select node_index as index, hash from x3sproxy.audit_nodes
            where workspace_id = ${workspaceId} and level = ${kept} and node_index = any (${wanted}::bigint[])`;
    for (const { index, hash } of rows) found.set(`${kept}/${index}`, hash);
  }
  return needed.map(({ kept, first, count }) => {
    const tree = new GrowingTree();
    for (let i = 0; i < count; i += 1) {
      const hash = found.get(`${kept}/${first + i}`);
      if (hash === undefined) {
        throw new TreeDamagedError(`the audit's tree lacks node ${first + i} of level ${kept}`);
      }
      tree.append(hash);
    }
    return tree.root();
  });
}
