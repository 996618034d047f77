// Searches events by filters, the newest first. Each statement reads a bounded number of events along the index of one filter. A search
// that no single index can answer ends early, and continues on the next page. Must never change an event.
import {
  createdUs,
  momentOf,
  preferOrderedIndexes,
  type FoundPage,
  type Page,
  type TransactionSql,
} from "../db/index.ts";
import type { StoredEvent } from "./leaf.ts";

/** An event has to meet every condition given. */
export interface AuditFilter {
  readonly action?: string | undefined;
  /** An actor's id or name. */
  readonly actor?: string | undefined;
  /** A target's id or name. */
  readonly target?: string | undefined;
  readonly from?: Date | undefined;
  /** Exclusive. */
  readonly to?: Date | undefined;
}

/** The sort key of an event in the list: its time in whole microseconds since 1970, and its id. */
export type EventPlace = readonly [us: string, id: string];

export interface EventRow extends Omit<StoredEvent, "workspace_id" | "at"> {
  created_at: Date;
  created_us: string;
  leaf_index: string | null;
}

type Fragment = ReturnType<typeof createdUs>;
/** The conditions of a filter, of which one has to hold. Each uses the columns of one index. */
type Alternatives = readonly Fragment[];

// About 50 ms when all have to be read from disk.
const MAX_READ = 5000;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** `sql`: confined to the workspace. */
export async function searchEvents(
  sql: TransactionSql,
  workspaceId: string,
  filter: AuditFilter,
  { after, limit }: Page<EventPlace>,
): Promise<FoundPage<EventPlace, EventRow>> {
  await preferOrderedIndexes(sql);
  const ways = alternativesOf(sql, filter);
  const all = conditionsOf(sql, filter);
  let best: { rows: EventRow[]; reached: EventPlace } | undefined;
  for (const way of ways.length > 0 ? ways : [[sql`true`]]) {
    const read = candidates(sql, workspaceId, way, { ...filter, after });
    // In the same statement as the rows, since new events would move the end of the search.
    const end =
      ways.length < 2
        ? sql``
        : sql`
          union all
          select e.*, ${createdUs(sql)}, null, true from (${read} limit 1 offset ${MAX_READ - 1}) e
          limit ${limit}`;
    const found = await sql<(EventRow & { is_end: boolean })[]>`
      (select e.*, ${createdUs(sql)} as created_us,
        (select l.leaf_index from x3sproxy.audit_leaves l where l.event_id = e.id) as leaf_index, false as is_end
      from (${read} limit ${MAX_READ}) e where true ${all}
      order by created_at desc, id desc limit ${limit})
      ${end}`;
    const last = found.at(-1);
    if (last?.is_end !== true) return { rows: found, reached: undefined };
    const rows = found.slice(0, -1);
    // All filters find the same events. Keep the search that went furthest.
    const reached: EventPlace = [last.created_us, last.id];
    if (best === undefined || isOlder(reached, best.reached)) best = { rows, reached };
  }
  return best ?? { rows: [], reached: undefined };
}

function alternativesOf(
  sql: TransactionSql,
  { action, actor, target }: AuditFilter,
): Alternatives[] {
  const ways: Alternatives[] = [];
  if (target !== undefined) {
    ways.push([sql`target_name = ${target}`, sql`target_id = ${target}`]);
  }
  if (actor !== undefined) {
    ways.push([
      sql`actor_name = ${actor}`,
      ...(UUID.test(actor) ? [sql`actor_id = ${actor}::uuid`] : []),
    ]);
  }
  if (action !== undefined) ways.push([sql`action = ${action}`]);
  return ways;
}

/** The conditions of a filter, except those on time. */
export function conditionsOf(sql: TransactionSql, filter: AuditFilter): Fragment[] {
  // The package does not accept an empty list of fragments.
  return [sql``, ...alternativesOf(sql, filter).map((way) => sql`and (${anyOf(sql, way)})`)];
}

/** The conditions of a filter on time. */
export function spanOf(sql: TransactionSql, { from, to }: AuditFilter): Fragment {
  return sql`
    ${from === undefined ? sql`` : sql`and created_at >= ${from}`}
    ${to === undefined ? sql`` : sql`and created_at < ${to}`}`;
}

/** The events that pass one filter, in the list's order. */
function candidates(
  sql: TransactionSql,
  workspaceId: string,
  ways: Alternatives,
  { after, ...filter }: AuditFilter & { readonly after: EventPlace | undefined },
): Fragment {
  const beyond =
    after === undefined
      ? sql``
      : sql`and (created_at, id) < (${momentOf(sql, after[0])}, ${after[1]}::bigint)`;
  const parts = ways.map(
    (way) => sql`
      (select * from x3sproxy.audit_events
       where workspace_id = ${workspaceId} and ${way} ${spanOf(sql, filter)} ${beyond}
       order by created_at desc, id desc limit ${MAX_READ})`,
  );
  const [first = sql``, second] = parts;
  // Both the name and the id of an event may match.
  return second === undefined
    ? sql`select * from ${first} one order by created_at desc, id desc`
    : sql`
      select distinct on (created_at, id) * from (${first} union all ${second}) both_ways
      order by created_at desc, id desc`;
}

function anyOf(sql: TransactionSql, [first = sql`true`, second]: Alternatives): Fragment {
  return second === undefined ? first : sql`${first} or ${second}`;
}

function isOlder([us, id]: EventPlace, [otherUs, otherId]: EventPlace): boolean {
  const [a, b] = [BigInt(us), BigInt(otherUs)];
  return a < b || (a === b && BigInt(id) < BigInt(otherId));
}
