// Reading what was added up: by whoever may see the workspace, never beyond it.
import type { Clock } from "../platform/clock.ts";
import { preferOrderedIndexes, type Page, type Pool } from "../db/index.ts";
import { contextKey, contextsOf, type ContextUse } from "./call-views.ts";
import { findKeyRefusals, type KeyRefusals } from "./key-refusals.ts";
import { readOverview, type Overview } from "./overview.ts";
import { isIdle, rulesOf, type WorkspaceRules } from "./workspace-rules.ts";

/** One minute of one agent with one provider. */
export interface ActivityRow {
  /** ISO 8601: its beginning. Exchanges count where they ended. */
  minute: string;
  agent: string;
  /** Empty: the requests named no provider that there is. */
  provider: string;
  requests: number;
  status2xx: number;
  status3xx: number;
  status4xx: number;
  status5xx: number;
  refusals: number;
  broken: number;
  requestBytes: number;
  responseBytes: number;
  /** Null where there was no first byte. */
  firstByteMsAverage: number | null;
  /** Without refusals; null where there was nothing else. */
  totalMsAverage: number | null;
  /** On whose behalf, as the agent said it; at most five, most requests first. */
  contexts: Pick<ContextUse, "context" | "requests">[];
}

/** All that is given has to hold. */
export interface ActivityFilter {
  readonly from?: Date | undefined;
  /** Exclusive. */
  readonly to?: Date | undefined;
  readonly agent?: string | undefined;
  readonly provider?: string | undefined;
  /** Only these, by name; null: all. */
  readonly agents: readonly string[] | null;
}

/** A version of a secret in use. */
export interface VersionUse {
  version: number;
  agent: string;
  /** ISO 8601. */
  firstUsedAt: string;
  lastUsedAt: string;
  requests: number;
}

/** What an agent has been doing. */
export interface AgentUse {
  /** ISO 8601; null: never. */
  lastUsedAt: string | null;
  requests24h: number;
  refusals24h: number;
  providersUsed: string[];
  idle: boolean;
}

/** Every verb rejects with StoreUnavailableError when the database is away. `agents`: only these, by name; null: all. */
export interface ActivityViews {
  overview(
    workspaceId: string,
    hours: 24 | 168,
    agents: readonly string[] | null,
  ): Promise<Overview>;
  /** Newest first. */
  list(
    workspaceId: string,
    filter: ActivityFilter,
    page: Page<readonly [minute: string, agent: string, provider: string]>,
  ): Promise<ActivityRow[]>;
  /** Newest version first, within it by agent, from the last name to the first. */
  versionUse(
    workspaceId: string,
    secretId: string,
    agents: readonly string[] | null,
    page: Page<readonly [version: string, agent: string]>,
  ): Promise<VersionUse[]>;
  /** Keys that their provider refuses now, by the secret's id. */
  keyRefusals(
    workspaceId: string,
    agents: readonly string[] | null,
  ): Promise<ReadonlyMap<string, KeyRefusals>>;
  /** By name, of those with these names that there are. */
  agentUse(workspaceId: string, names: readonly string[]): Promise<ReadonlyMap<string, AgentUse>>;
  rules(workspaceId: string): Promise<WorkspaceRules>;
}

const DAY_MS = 86_400_000;

/** `pool`: of the control role. */
export function createActivityViews({ pool, clock }: { pool: Pool; clock: Clock }): ActivityViews {
  return {
    overview: (workspaceId, hours, agents) =>
      pool.inWorkspace(workspaceId, (sql) =>
        readOverview(sql, { workspaceId, hours, agents, nowMs: clock.nowMs() }),
      ),

    list: (workspaceId, { from, to, agent, provider, agents }, { after, limit }) =>
      pool.inWorkspace(workspaceId, async (sql) => {
        await preferOrderedIndexes(sql);
        const named = namesOf(agent, agents);
        const part = sql`
          select minute, agent, provider, requests::float8, status_2xx::float8 as "status2xx",
            status_3xx::float8 as "status3xx", status_4xx::float8 as "status4xx", status_5xx::float8 as "status5xx",
            refusals::float8, broken::float8, request_bytes::float8 as "requestBytes", response_bytes::float8 as "responseBytes",
            first_byte_ms / nullif(first_byte_count, 0) as "firstByteMsAverage",
            total_ms / nullif(total_count, 0) as "totalMsAverage"
          from x3sproxy.activity_minutes
          where workspace_id = ${workspaceId}
            ${named === null ? sql`` : sql`and agent = of.name`}
            ${from === undefined ? sql`` : sql`and minute >= ${from}`}
            ${to === undefined ? sql`` : sql`and minute < ${to}`}
            ${provider === undefined ? sql`` : sql`and provider = ${provider}`}
            ${after === undefined ? sql`` : sql`and (minute, agent, provider) < (${new Date(after[0])}, ${after[1]}, ${after[2]})`}
          order by minute desc, agent desc, provider desc limit ${limit}`;
        // Of each agent its own page, along an index: with all in one, rare ones would be looked for among all rows.
        const rows = await sql<(Omit<ActivityRow, "minute" | "contexts"> & { minute: Date })[]>`
          ${
            named === null
              ? part
              : sql`
                select each.* from unnest(${named}::text[]) of (name) cross join lateral (${part}) each
                order by minute desc, agent desc, provider desc limit ${limit}`
          }`;
        const contexts = await contextsOf(sql, workspaceId, rows);
        return rows.map((row) => ({
          ...row,
          minute: row.minute.toISOString(),
          contexts: contexts.get(contextKey(row)) ?? [],
        }));
      }),

    versionUse: (workspaceId, secretId, agents, { after, limit }) =>
      pool.inWorkspace(workspaceId, async (sql) => {
        await preferOrderedIndexes(sql);
        const only = agents as string[] | null;
        const rows = await sql<
          (Omit<VersionUse, "firstUsedAt" | "lastUsedAt"> &
            Record<`${"first" | "last"}UsedAt`, Date>)[]
        >`
          select version, agent, first_used_at as "firstUsedAt", last_used_at as "lastUsedAt", requests::float8
          from x3sproxy.activity_versions
          where workspace_id = ${workspaceId} and secret_id = ${secretId}
            and (${only}::text[] is null or agent = any (${only}::text[]))
            ${after === undefined ? sql`` : sql`and (version, agent) < (${Number(after[0])}, ${after[1]})`}
          order by version desc, agent desc limit ${limit}`;
        return rows.map((row) => ({
          ...row,
          firstUsedAt: row.firstUsedAt.toISOString(),
          lastUsedAt: row.lastUsedAt.toISOString(),
        }));
      }),

    agentUse: (workspaceId, names) =>
      pool.inWorkspace(workspaceId, async (sql) => {
        const rules = await rulesOf(sql, workspaceId);
        const nowMs = clock.nowMs();
        // An agent of the same name before it is another one.
        const rows = await sql<AgentRow[]>`
          select a.name, a.deployed_at as "deployedAt", u.last_used_at as "lastUsedAt",
            coalesce(u.providers, '{}') as providers, coalesce(m.requests, 0)::float8 as requests,
            coalesce(m.refusals, 0)::float8 as refusals
          from x3sproxy.agents a
          cross join lateral (
            select max(last_used_at) as last_used_at,
              array_agg(provider order by provider) filter (where provider <> '') as providers
            from x3sproxy.activity_agents where workspace_id = ${workspaceId} and agent_id = a.id
          ) u
          cross join lateral (
            select sum(requests) as requests, sum(refusals) as refusals from x3sproxy.activity_minutes
            where workspace_id = ${workspaceId} and agent = a.name
              and minute >= greatest(${new Date(nowMs - DAY_MS)}, date_trunc('minute', a.created_at))
          ) m
          where a.workspace_id = ${workspaceId} and a.name = any (${[...names]}::text[])`;
        return new Map(rows.map((row) => [row.name, useOf(row, nowMs, rules)]));
      }),

    keyRefusals: (workspaceId, agents) =>
      pool.inWorkspace(workspaceId, (sql) => findKeyRefusals(sql, { workspaceId, agents })),

    rules: (workspaceId) => pool.inWorkspace(workspaceId, (sql) => rulesOf(sql, workspaceId)),
  };
}

interface AgentRow {
  name: string;
  deployedAt: Date;
  lastUsedAt: Date | null;
  providers: string[];
  requests: number;
  refusals: number;
}

/** Whose rows are asked for, each name once; null: everybody's. */
function namesOf(agent: string | undefined, only: readonly string[] | null): string[] | null {
  if (agent === undefined) return only === null ? null : [...new Set(only)];
  return only === null || only.includes(agent) ? [agent] : [];
}

function useOf(row: AgentRow, nowMs: number, rules: WorkspaceRules): AgentUse {
  const aliveMs = Math.max(row.deployedAt.getTime(), row.lastUsedAt?.getTime() ?? 0);
  return {
    lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
    requests24h: row.requests,
    refusals24h: row.refusals,
    providersUsed: row.providers,
    idle: isIdle(aliveMs, nowMs, rules),
  };
}
