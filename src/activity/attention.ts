// Finds what needs attention: keys that their provider refuses, unusual use by agents, old keys, idle agents, unused tokens, and rising
// numbers of refusals.
import type { TransactionSql } from "../db/index.ts";
import { findKeyRefusals } from "./key-refusals.ts";
import { isIdle, rotationDueAt, rulesOf, type WorkspaceRules } from "./workspace-rules.ts";

export interface Attention {
  kind:
    | "key_refused"
    | "unusual_use"
    | "rotation_due"
    | "agent_idle"
    | "token_unused"
    | "refusals_rising";
  /** `<provider>/<environment>` of a key, an agent's name, or `all agents`. */
  subject: string;
  /** Since when, ISO 8601. */
  since: string;
  /** A sentence. For unusual use, what was used, as in `provider openai`. */
  detail: string;
}

interface Question {
  readonly workspaceId: string;
  /** The names of the only agents to consider; null: all. */
  readonly agents: readonly string[] | null;
  readonly nowMs: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const UNUSED_AFTER_MS = DAY_MS;
const UNUSUAL_FOR_MS = 7 * DAY_MS;
const MANY_REFUSALS = 20;
const RISEN_BY = 3;

/** `sql`: a transaction confined to the workspace. */
export async function findAttention(sql: TransactionSql, question: Question): Promise<Attention[]> {
  const rules = await rulesOf(sql, question.workspaceId);
  return [
    ...(await refusedKeys(sql, question)),
    ...(await unusualUses(sql, question)),
    ...(await risingRefusals(sql, question)),
    ...(await oldKeys(sql, question, rules)),
    ...(await quietAgents(sql, question, rules)),
  ];
}

/** Keys that their provider refuses, counted since the last call that it accepted. */
async function refusedKeys(sql: TransactionSql, question: Question): Promise<Attention[]> {
  const refusals = await findKeyRefusals(sql, question);
  if (refusals.size === 0) return [];
  const rows = await sql<{ id: string; subject: string }[]>`
    select id, provider || '/' || environment as subject from x3sproxy.secrets
    where workspace_id = ${question.workspaceId} and id = any (${[...refusals.keys()]}::text[]::uuid[])
    order by provider, environment`;
  return rows.flatMap(({ id, subject }): Attention[] => {
    const found = refusals.get(id);
    if (found === undefined) return [];
    const { calls, agents, since, ...counts } = found;
    const statuses = ([401, 403, 429] as const)
      .filter((status) => counts[`status${status}`] > 0)
      .map((status) => `${counts[`status${status}`]} × ${status}`);
    const detail = `${calls} calls of ${agents === 1 ? "1 agent" : `${agents} agents`} in a row (${statuses.join(", ")})`;
    return [{ kind: "key_refused", subject, since, detail }];
  });
}

/** Agents that used something for the first time in the last week, but after their first hour. Each agent once, with the latest use. */
async function unusualUses(
  sql: TransactionSql,
  { workspaceId, agents, nowMs }: Question,
): Promise<Attention[]> {
  const only = agents as string[] | null;
  const rows = await sql<{ subject: string; what: string; at: Date; more: number }[]>`
    select distinct on (a.name) a.name as subject, u.kind || ' ' || u.value as what, u.first_used_at as at,
      count(*) over (partition by a.name)::float8 - 1 as more
    from x3sproxy.agent_first_uses u
    join x3sproxy.agents a on a.id = u.agent_id and a.workspace_id = u.workspace_id
    where u.workspace_id = ${workspaceId} and u.unusual and u.first_used_at >= ${new Date(nowMs - UNUSUAL_FOR_MS)}
      and (${only}::text[] is null or a.name = any (${only}::text[]))
    order by a.name, u.first_used_at desc, u.kind, u.value`;
  return rows.map(({ subject, what, at, more }) => ({
    kind: "unusual_use",
    subject,
    since: at.toISOString(),
    detail: more === 0 ? what : `${what}, and ${more} more`,
  }));
}

async function oldKeys(
  sql: TransactionSql,
  { workspaceId, nowMs }: Question,
  rules: WorkspaceRules,
): Promise<Attention[]> {
  const rows = await sql<{ provider: string; environment: string; savedAt: Date }[]>`
    select s.provider, s.environment, v.created_at as "savedAt"
    from x3sproxy.secrets s
    join x3sproxy.secret_versions v on v.secret_id = s.id and v.version = s.active_version
    where s.workspace_id = ${workspaceId} order by v.created_at, s.provider, s.environment`;
  return rows.flatMap(({ provider, environment, savedAt }) => {
    const since = rotationDueAt(savedAt.toISOString(), rules);
    if (Date.parse(since) > nowMs) return [];
    const detail = `The key is ${days(nowMs - savedAt.getTime())} old; it is due for a new one after ${rules.rotationDays} days.`;
    return [
      { kind: "rotation_due" as const, subject: `${provider}/${environment}`, since, detail },
    ];
  });
}

/** Idle agents, and agents whose latest token was never used. An agent is in one group only. */
async function quietAgents(
  sql: TransactionSql,
  { workspaceId, agents, nowMs }: Question,
  rules: WorkspaceRules,
): Promise<Attention[]> {
  const only = agents as string[] | null;
  const rows = await sql<
    { name: string; deployedAt: Date; lastUsedAt: Date | null; unused: boolean }[]
  >`
    select a.name, a.deployed_at as "deployedAt", max(u.last_used_at) as "lastUsedAt",
      coalesce(max(u.deployment), 0) < a.deployments as unused
    from x3sproxy.agents a
    left join x3sproxy.activity_agents u on u.agent_id = a.id and u.workspace_id = a.workspace_id
    where a.workspace_id = ${workspaceId} and (${only}::text[] is null or a.name = any (${only}::text[]))
    group by a.id order by a.name`;
  return rows.flatMap(({ name: subject, deployedAt, lastUsedAt, unused }): Attention[] => {
    const deployedMs = deployedAt.getTime();
    const aliveMs = Math.max(deployedMs, lastUsedAt?.getTime() ?? 0);
    const since = new Date(aliveMs).toISOString();
    if (isIdle(aliveMs, nowMs, rules)) {
      const ago = days(nowMs - aliveMs);
      const detail = unused
        ? `Its token has not been used since it was deployed ${ago} ago.`
        : `It was last used ${ago} ago.`;
      return [{ kind: "agent_idle", subject, since, detail }];
    }
    if (unused && nowMs - deployedMs >= UNUSED_AFTER_MS) {
      const detail = `Its token was made ${days(nowMs - deployedMs)} ago and has never been used.`;
      return [{ kind: "token_unused", subject, since: deployedAt.toISOString(), detail }];
    }
    return [];
  });
}

/** Agents with many more refusals in the last hour than in an average hour of the day before; or all agents together, if no single one. */
async function risingRefusals(
  sql: TransactionSql,
  { workspaceId, agents, nowMs }: Question,
): Promise<Attention[]> {
  const only = agents as string[] | null;
  const hourAgo = new Date(nowMs - HOUR_MS);
  const rows = await sql<{ agent: string | null; lastHour: number; mean: number }[]>`
    select agent, lately::float8 as "lastHour", before::float8 / 24 as mean
    from (
      select agent, coalesce(sum(refusals) filter (where minute >= ${hourAgo}), 0) as lately,
        coalesce(sum(refusals) filter (where minute < ${hourAgo}), 0) as before
      from x3sproxy.activity_minutes
      where workspace_id = ${workspaceId} and minute >= ${new Date(nowMs - HOUR_MS - DAY_MS)}
        and (${only}::text[] is null or agent = any (${only}::text[]))
      group by grouping sets ((agent), ())
    ) each
    where lately >= ${MANY_REFUSALS} and lately > ${RISEN_BY} * before / 24
    order by lately desc, agent`;
  const single = rows.filter(({ agent }) => agent !== null);
  return (single.length > 0 ? single : rows).map(({ agent, lastHour, mean }) => ({
    kind: "refusals_rising",
    subject: agent ?? "all agents",
    since: hourAgo.toISOString(),
    detail: `${lastHour} refusals in the last hour; the day before had ${mean.toFixed(1)} an hour.`,
  }));
}

function days(ms: number): string {
  const count = Math.floor(ms / DAY_MS);
  return count === 1 ? "1 day" : `${count} days`;
}
