// The search for events that filters ask for, newest first. Each statement goes along an index for one of the filters and reads a bounded
// number of events: a search of which no index knows the answer ends early, and goes on from where it came to. Reads only.
import {
  createdUs,
  momentOf,
  preferOrderedIndexes,
  type FoundPage,
  type Page,
  type TransactionSql,
} from "../db/index.ts";
import type { StoredEvent } from "./leaf.ts";

/** All that is given has to hold. */
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

/** An event's place in the list: when it was, in whole microseconds since 1970 (a Date would lose those below the millisecond), and its id. */
export type EventPlace = readonly [us: string, id: string];

export interface EventRow extends Omit<StoredEvent, "workspace_id" | "at"> {
  created_at: Date;
  created_us: string;
  leaf_index: string | null;
}

type Fragment = ReturnType<typeof createdUs>;
/** Which events a filter lets pass, each by the columns of one index. */
type Alternatives = readonly Fragment[];

// Some 50 ms when all of them have to be read from a disk.
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
    // In one statement with the rows, of one moment: events that came in between would move it.
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
    // Each way finds the same events; whichever came furthest has found most.
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

/** The conditions of a filter, without its time. */
export function conditionsOf(sql: TransactionSql, filter: AuditFilter): Fragment[] {
  // The package takes no list without a fragment.
  return [sql``, ...alternativesOf(sql, filter).map((way) => sql`and (${anyOf(sql, way)})`)];
}

/** A filter's span of time. */
export function spanOf(sql: TransactionSql, { from, to }: AuditFilter): Fragment {
  return sql`
    ${from === undefined ? sql`` : sql`and created_at >= ${from}`}
    ${to === undefined ? sql`` : sql`and created_at < ${to}`}`;
}

/** The events that one filter lets pass, in the list's order, without a limit. */
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
  // An event may be found both by its name and by its id.
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
