// Reads the leaves of a log with their events, in pages. Each page is a short transaction, so that a long export blocks nothing. Must show
// what the database has, and judge nothing.
import { createdUs, momentOf, type TransactionSql } from "../db/index.ts";
import { conditionsOf, spanOf, type AuditFilter, type EventPlace } from "./event-search.ts";
import type { StoredEvent } from "./leaf.ts";
import { toEvent } from "./leaf.ts";
import type { ErasedPart, EventLine, PrunedLine } from "./export-lines.ts";
import { TILE_LEVELS } from "./merkle.ts";

/** The end of a log. */
export interface Head {
  /** The number of leaves. In an undamaged tree it is the size of the checkpoint. */
  readonly leaves: number;
  readonly checkpoint: { readonly size: number; readonly note: string } | undefined;
}

interface LeafRow extends Partial<StoredEvent> {
  leaf_index: string;
  event_id: string;
  leaf_hash: Buffer;
  actor_commitment: Buffer;
  target_commitment: Buffer;
  erased_actor: string | null;
  erased_target: string | null;
}

/** Reads the head. `sql`: a transaction confined to the workspace, as everywhere in this file. */
export async function readHead(sql: TransactionSql, workspaceId: string): Promise<Head> {
  const [row] = await sql<{ leaves: string; size: string | null; note: string | null }[]>`
    select
      (select coalesce(max(leaf_index) + 1, 0) from x3sproxy.audit_leaves where workspace_id = ${workspaceId}) as leaves,
      c.size, c.note
    from (select) one left join lateral (
      select size, note from x3sproxy.audit_checkpoints
      where workspace_id = ${workspaceId} order by size desc limit 1) c on true`;
  const { leaves = 0, size = null, note = null } = row ?? {};
  return {
    leaves: Number(leaves),
    checkpoint: size === null || note === null ? undefined : { size: Number(size), note },
  };
}

/**
 * At most `limit` leaves in order, from `from` up to, not including, `end`. With a filter, only those whose event is present and passes,
 * and always the last leaf read (as absent if its event does not pass).
 */
export async function readLeaves(
  sql: TransactionSql,
  workspaceId: string,
  o: {
    readonly from: number;
    readonly end: number;
    readonly limit: number;
    readonly filter?: AuditFilter | undefined;
  },
): Promise<(EventLine | PrunedLine)[]> {
  const rows = await sql<LeafRow[]>`
    with page as (
      select * from x3sproxy.audit_leaves
      where workspace_id = ${workspaceId} and leaf_index >= ${o.from} and leaf_index < ${o.end}
      order by leaf_index limit ${o.limit})
    select p.leaf_index, p.event_id, p.leaf_hash, p.actor_commitment, p.target_commitment,
      e.*, to_char(e.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at,
      (select erasure_event_id from x3sproxy.audit_erasures
       where workspace_id = ${workspaceId} and leaf_index = p.leaf_index and part = 'actor') as erased_actor,
      (select erasure_event_id from x3sproxy.audit_erasures
       where workspace_id = ${workspaceId} and leaf_index = p.leaf_index and part = 'target') as erased_target
    from page p
    left join lateral (
      select * from (
        select * from x3sproxy.audit_events where id = p.event_id and workspace_id = ${workspaceId} limit 1) one
      where true ${spanOf(sql, o.filter ?? {})} ${conditionsOf(sql, o.filter ?? {})}) e on true
    where ${o.filter === undefined} or e.id is not null or p.leaf_index = (select max(leaf_index) from page)
    order by p.leaf_index`;
  return rows.map(lineOf);
}

/** The leaf of an event, or undefined for one that has none. */
export async function readLeafOf(
  sql: TransactionSql,
  workspaceId: string,
  eventId: string,
): Promise<EventLine | PrunedLine | undefined> {
  const [row] = await sql<{ leaf_index: string }[]>`
    select leaf_index from x3sproxy.audit_leaves
    where workspace_id = ${workspaceId} and event_id = ${eventId}::bigint`;
  if (row === undefined) return undefined;
  const from = Number(row.leaf_index);
  const [line] = await readLeaves(sql, workspaceId, { from, end: from + 1, limit: 1 });
  return line;
}

/** How many events aren't sealed yet. */
export async function countWaiting(sql: TransactionSql, workspaceId: string): Promise<number> {
  const [row] = await sql<[{ waiting: number }]>`
    select count(*)::int as waiting from x3sproxy.audit_pending where workspace_id = ${workspaceId}`;
  return row.waiting;
}

/** The stored hashes of these nodes of the tree, by `<level>/<index>`. */
export async function readNodes(
  sql: TransactionSql,
  workspaceId: string,
  wanted: readonly { readonly level: number; readonly index: number }[],
): Promise<ReadonlyMap<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for (const level of new Set(wanted.map((each) => each.level))) {
    const indexes = wanted.filter((each) => each.level === level).map(({ index }) => index);
    const rows = await sql<{ node_index: string; hash: Buffer }[]>`
      select node_index, hash from x3sproxy.audit_nodes
      where workspace_id = ${workspaceId} and level = ${level} and node_index = any (${`{${indexes.join(",")}}`}::bigint[])`;
    for (const { node_index: index, hash } of rows) found.set(`${level}/${index}`, hash);
  }
  return found;
}

/** Whether the database stores the hash of a subtree of this level. */
export function isStored({ level }: { readonly level: number }): boolean {
  return level > 0 && level % TILE_LEVELS === 0;
}

/** Reads the next events by time: the last one's sort key, and how many are neither sealed nor pending. Undefined: there are no more. */
export async function readOrphans(
  sql: TransactionSql,
  workspaceId: string,
  after: EventPlace,
  limit: number,
): Promise<{ last: EventPlace; count: number; first: string | null } | undefined> {
  const [row] = await sql<
    [{ us: string | null; id: string | null; count: number; first: string | null }]
  >`
    select max(e.us)::text as us, (array_agg(e.id order by e.us desc, e.id desc))[1]::text as id,
      count(*) filter (where l.event_id is null and p.event_id is null)::int as count,
      (min(e.id) filter (where l.event_id is null and p.event_id is null))::text as first
    from (
      select id, ${createdUs(sql)} as us from x3sproxy.audit_events
      where workspace_id = ${workspaceId} and (created_at, id) > (${momentOf(sql, after[0])}, ${after[1]}::bigint)
      order by created_at, id limit ${limit}) e
    left join lateral (select event_id from x3sproxy.audit_leaves where event_id = e.id limit 1) l on true
    left join lateral (select event_id from x3sproxy.audit_pending where event_id = e.id limit 1) p on true`;
  const { us, id, count, first } = row;
  return us === null || id === null ? undefined : { last: [us, id], count, first };
}

function lineOf(row: LeafRow): EventLine | PrunedLine {
  const erased: ErasedPart[] = [];
  if (row.erased_actor !== null) erased.push({ part: "actor", by: row.erased_actor });
  if (row.erased_target !== null) erased.push({ part: "target", by: row.erased_target });
  const leaf = {
    index: Number(row.leaf_index),
    id: row.event_id,
    erased,
    leafHash: row.leaf_hash.toString("hex"),
  };
  if (row.id == null) return { type: "pruned", ...leaf };
  const event = row as StoredEvent;
  return {
    type: "event",
    ...leaf,
    event: toEvent(event),
    actor: {
      salt: event.actor_salt,
      id: event.actor_id,
      name: event.actor_name,
      address: event.address,
      commitment: row.actor_commitment.toString("hex"),
    },
    target: {
      salt: event.target_salt,
      id: event.target_id,
      name: event.target_name,
      commitment: row.target_commitment.toString("hex"),
    },
  };
}
