// Reads what agents called, for dry runs of scopes, and on whose behalf, for auditors.
import type { Clock } from "../platform/clock.ts";
import { preferOrderedIndexes, type Page, type Pool, type TransactionSql } from "../db/index.ts";

/** Forwarded calls, summed up. Unknown texts are empty. */
export interface CallCount {
  provider: string;
  method: string;
  /** The provider's own, canonical. */
  path: string;
  address: string;
  calls: number;
}

/** On whose behalf agents said that they called, in one minute. */
export interface ContextUse {
  /** ISO 8601: its beginning. */
  minute: string;
  agent: string;
  /** Empty: the requests named no known provider. */
  provider: string;
  /** Values by the names that the agent chose. */
  context: Record<string, string>;
  requests: number;
  /** Distinguishes it from others of the same minute, agent and provider. */
  hash: string;
}

/** Every given condition has to hold. */
export interface ContextFilter {
  readonly from?: Date | undefined;
  /** Exclusive. */
  readonly to?: Date | undefined;
  readonly agent?: string | undefined;
}

/** Every verb rejects with StoreUnavailableError if the database is away. */
export interface CallViews {
  /** An agent's calls of the last 24 hours, from the beginning of an hour. `from`, `to`: ISO 8601. */
  lastDay(
    workspaceId: string,
    agentId: string,
  ): Promise<{ from: string; to: string; counts: CallCount[] }>;
  /** Newest first. */
  contexts(
    workspaceId: string,
    filter: ContextFilter,
    page: Page<readonly [minute: string, agent: string, provider: string, hash: string]>,
  ): Promise<ContextUse[]>;
}

const HOUR_MS = 3_600_000;
/** The most contexts of a minute, agent and provider: as many as x3sproxy.add_calls keeps. */
const MOST_CONTEXTS = 5;

/** `pool`: of the control role. */
export function createCallViews({ pool, clock }: { pool: Pool; clock: Clock }): CallViews {
  return {
    lastDay: (workspaceId, agentId) =>
      pool.inWorkspace(workspaceId, async (sql) => {
        const nowMs = clock.nowMs();
        const from = new Date(nowMs - (nowMs % HOUR_MS) - 24 * HOUR_MS);
        const counts = await sql<CallCount[]>`
          select provider, method, path, address, sum(requests)::float8 as calls
          from x3sproxy.activity_calls
          where workspace_id = ${workspaceId} and agent_id = ${agentId} and hour >= ${from}
          group by 1, 2, 3, 4 order by calls desc, provider, method, path, address`;
        return { from: from.toISOString(), to: new Date(nowMs).toISOString(), counts: [...counts] };
      }),

    contexts: (workspaceId, { from, to, agent }, { after, limit }) =>
      pool.inWorkspace(workspaceId, async (sql) => {
        await preferOrderedIndexes(sql);
        const rows = await sql<(Omit<ContextUse, "minute"> & { minute: Date })[]>`
          select minute, agent, provider, context, requests::float8, context_hash as hash
          from x3sproxy.activity_contexts
          where workspace_id = ${workspaceId}
            ${from === undefined ? sql`` : sql`and minute >= ${from}`}
            ${to === undefined ? sql`` : sql`and minute < ${to}`}
            ${agent === undefined ? sql`` : sql`and agent = ${agent}`}
            ${after === undefined ? sql`` : sql`and (minute, agent, provider, context_hash) < (${new Date(after[0])}, ${after[1]}, ${after[2]}, ${after[3]})`}
          order by minute desc, agent desc, provider desc, context_hash desc limit ${limit}`;
        return rows.map((row) => ({ ...row, minute: row.minute.toISOString() }));
      }),
  };
}

/** The contexts of the given minutes and agents, by `contextKey`; most requests first. `sql`: a transaction confined to the workspace. */
export async function contextsOf(
  sql: TransactionSql,
  workspaceId: string,
  rows: readonly { readonly minute: Date; readonly agent: string; readonly provider: string }[],
): Promise<ReadonlyMap<string, Pick<ContextUse, "context" | "requests">[]>> {
  const found = new Map<string, Pick<ContextUse, "context" | "requests">[]>();
  if (rows.length === 0) return found;
  const contexts = await sql<(Omit<ContextUse, "minute" | "hash"> & { minute: Date })[]>`
    select wanted.minute, wanted.agent, wanted.provider, c.context, c.requests
    from unnest(${rows.map(({ minute }) => minute.toISOString())}::text[]::timestamptz[],
      ${rows.map(({ agent }) => agent)}::text[], ${rows.map(({ provider }) => provider)}::text[]) as wanted (minute, agent, provider)
    cross join lateral (
      select context, requests::float8, context_hash from x3sproxy.activity_contexts
      where workspace_id = ${workspaceId} and minute = wanted.minute and agent = wanted.agent and provider = wanted.provider
      order by requests desc, context_hash limit ${MOST_CONTEXTS}) c
    order by c.requests desc, c.context_hash`;
  for (const row of contexts) {
    const key = contextKey(row);
    const { context, requests } = row;
    found.set(key, [...(found.get(key) ?? []), { context, requests }]);
  }
  return found;
}

export function contextKey(row: { minute: Date; agent: string; provider: string }): string {
  return `${row.minute.getTime()} ${row.agent} ${row.provider}`;
}
