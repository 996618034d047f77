// The leaves of a log with the events that they stand for, as the database has them, in pages: each a short transaction of its own, so
// that an export may take as long as it likes. Shows what is there and judges nothing.
import type { TransactionSql } from "../db/index.ts";
import type { AuditFilter } from "./audit.ts";
import type { KeptEventRow } from "./event-row.ts";
import { toEvent } from "./event-row.ts";
import type { ErasedPart, EventLine, PrunedLine } from "./export-lines.ts";
import { TILE_LEVELS } from "./merkle.ts";

/** Where a log ends. */
export interface Head {
  /** How many leaves there are; with a tree that is whole the size of the checkpoint. */
  readonly leaves: number;
  readonly checkpoint: { readonly size: number; readonly note: string } | undefined;
}

interface LeafRow extends Partial<KeptEventRow> {
  leaf_index: string;
  event_id: string;
  leaf_hash: Buffer;
  actor_commitment: Buffer;
  target_commitment: Buffer;
  erased_actor: string | null;
  erased_target: string | null;
}

/** Checkpoint and leaves as they are at one moment. `sql`: confined to the workspace, as everywhere here. */
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

/** At most `limit` leaves from `from` on until before `end`, in their order; with a filter that an event doesn't pass it is absent. */
export async function readLeaves(
  sql: TransactionSql,
  workspaceId: string,
  o: {
    readonly from: number;
    readonly end: number;
    readonly limit: number;
    readonly filter: AuditFilter;
  },
): Promise<(EventLine | PrunedLine)[]> {
  const { action, actor, target, from, to } = o.filter;
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
    left join x3sproxy.audit_events e on e.id = p.event_id and e.workspace_id = ${workspaceId}
      ${action === undefined ? sql`` : sql`and e.action = ${action}`}
      ${actor === undefined ? sql`` : sql`and (e.actor_name = ${actor} or e.actor_id::text = ${actor})`}
      ${target === undefined ? sql`` : sql`and (e.target_name = ${target} or e.target_id = ${target})`}
      ${from === undefined ? sql`` : sql`and e.created_at >= ${from}`}
      ${to === undefined ? sql`` : sql`and e.created_at < ${to}`}
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
  const [line] = await readLeaves(sql, workspaceId, { from, end: from + 1, limit: 1, filter: {} });
  return line;
}

/** How many events aren't sealed yet. */
export async function countWaiting(sql: TransactionSql, workspaceId: string): Promise<number> {
  const [row] = await sql<[{ waiting: number }]>`
    select count(*)::int as waiting from x3sproxy.audit_pending where workspace_id = ${workspaceId}`;
  return row.waiting;
}

/** The hashes of these nodes of the tree, as `<level>/<index>`, as far as they are there. */
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

/** Whether a subtree is one whose hash is kept. */
export function isKept({ level }: { readonly level: number }): boolean {
  return level > 0 && level % TILE_LEVELS === 0;
}

/** Of the next events by their ids: the last id, and those that are neither sealed nor waiting. Undefined: there are no more. */
export async function readStrays(
  sql: TransactionSql,
  workspaceId: string,
  after: string,
  limit: number,
): Promise<{ last: string; count: number; first: string | null } | undefined> {
  const [row] = await sql<[{ last: string | null; count: number; first: string | null }]>`
    select max(e.id)::text as last,
      count(*) filter (where l.event_id is null and p.event_id is null)::int as count,
      (min(e.id) filter (where l.event_id is null and p.event_id is null))::text as first
    from (
      select id from x3sproxy.audit_events
      where workspace_id = ${workspaceId} and id > ${after}::bigint order by id limit ${limit}) e
    left join x3sproxy.audit_leaves l on l.event_id = e.id
    left join x3sproxy.audit_pending p on p.event_id = e.id`;
  const { last, count, first } = row;
  return last === null ? undefined : { last, count, first };
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
  const event = row as KeptEventRow;
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
