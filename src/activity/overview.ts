// The overview of a workspace: what its agents did in a day or a week, and what needs attention.
import type { TransactionSql } from "../db/index.ts";
import { findAttention, type Attention } from "./attention.ts";

export interface Overview {
  /** When the series begins. ISO 8601. */
  from: string;
  to: string;
  stepSeconds: number;
  /** Sums of the series. `activeStreams`: the maximum of the latest minute with any, at most two minutes old. An upper bound: it includes calls that have ended. */
  totals: Counts & { activeStreams: number; providers: number; agents: number };
  /** A point for each step, also for steps without calls. `activeStreams`: the most at once, an upper bound. */
  series: (Counts & { at: string; activeStreams: number })[];
  /** Here and below: the 200 with the most requests. `totals` has the full number. */
  byProvider: (Counts & { provider: string })[];
  byAgent: (Counts & { agent: string })[];
  attention: Attention[];
  /** Which of the first steps are done. Null for a caller who sees only some agents. */
  firstSteps: FirstSteps | null;
}

export interface FirstSteps {
  /** A provider has a key. */
  key: boolean;
  /** An agent is deployed. */
  agent: boolean;
  /** A call with an agent's token arrived. */
  call: boolean;
}

interface Counts {
  requests: number;
  /** Answered with 5xx, or broken off. */
  errors: number;
  /** Refused by the proxy. */
  refusals: number;
}

interface Sum extends Counts {
  of: "step" | "provider" | "agent" | "providers" | "agents";
  /** A step's number, or the number of all providers or agents. */
  name: string;
  activeStreams: number;
}

export interface OverviewQuestion {
  readonly workspaceId: string;
  readonly hours: 24 | 168;
  /** The names of the only agents to show; null: all. */
  readonly agents: readonly string[] | null;
  readonly nowMs: number;
}

const STEP_S = { 24: 15 * 60, 168: 2 * 3600 };
const HOUR_MS = 3_600_000;
/** Open streams are noted a few seconds after a minute begins. */
const NOW_MS = 120_000;

/** `sql`: a transaction confined to the workspace. */
export async function readOverview(
  sql: TransactionSql,
  question: OverviewQuestion,
): Promise<Overview> {
  const { workspaceId, hours, nowMs } = question;
  const stepSeconds = STEP_S[hours];
  const stepMs = stepSeconds * 1000;
  const endMs = (Math.floor(nowMs / stepMs) + 1) * stepMs;
  const fromMs = endMs - hours * HOUR_MS;
  const minutes = sql`x3sproxy.activity_minutes
    where workspace_id = ${workspaceId} and minute >= ${new Date(fromMs)}
      and (${question.agents as string[] | null}::text[] is null or agent = any (${question.agents as string[] | null}::text[]))`;
  // The rows are read once, for all groupings.
  const sums = await sql<Sum[]>`
    with each as materialized (
      select minute, provider, agent, sum(requests) as requests, sum(errors) as errors, sum(refusals) as refusals,
        sum(open_peak) as open
      from ${minutes} group by grouping sets ((minute), (provider), (agent))
    )
    select 'step' as of, floor((extract(epoch from minute) - ${fromMs / 1000}) / ${stepSeconds})::text as name,
      sum(requests)::float8 as requests, sum(errors)::float8 as errors, sum(refusals)::float8 as refusals,
      max(open)::float8 as "activeStreams"
    from each where minute is not null group by 2
    union all select 'providers', count(provider)::text, 0, 0, 0, 0 from each
    union all select 'agents', count(agent)::text, 0, 0, 0, 0 from each
    union all (
      select 'provider', provider, requests::float8, errors::float8, refusals::float8, 0
      from each where provider is not null order by requests desc, provider limit 200)
    union all (
      select 'agent', agent, requests::float8, errors::float8, refusals::float8, 0
      from each where agent is not null order by requests desc, agent limit 200)`;
  const steps = sums.filter(({ of }) => of === "step");
  const named = (by: Sum["of"]): (Counts & { name: string })[] =>
    sums
      .filter(({ of }) => of === by)
      .map(({ name, requests, errors, refusals }) => ({ name, requests, errors, refusals }));
  const howMany = (all: Sum["of"]): number => Number(sums.find(({ of }) => of === all)?.name);
  const [latest] = await sql<{ open: number }[]>`
    select sum(open_peak)::float8 as open from ${minutes} and minute > ${new Date(nowMs - NOW_MS)}
    group by minute order by minute desc limit 1`;

  const found = new Map(steps.map((step) => [Number(step.name), step]));
  const series = Array.from({ length: (hours * 3600) / stepSeconds }, (_, index) => {
    const step = found.get(index);
    return {
      at: new Date(fromMs + index * stepMs).toISOString(),
      requests: step?.requests ?? 0,
      errors: step?.errors ?? 0,
      refusals: step?.refusals ?? 0,
      activeStreams: step?.activeStreams ?? 0,
    };
  });
  const total = (of: keyof Counts): number => steps.reduce((sum, step) => sum + step[of], 0);
  return {
    from: new Date(fromMs).toISOString(),
    to: new Date(nowMs).toISOString(),
    stepSeconds,
    totals: {
      requests: total("requests"),
      errors: total("errors"),
      refusals: total("refusals"),
      activeStreams: latest?.open ?? 0,
      providers: howMany("providers"),
      agents: howMany("agents"),
    },
    series,
    byProvider: named("provider").map(({ name, ...counts }) => ({ provider: name, ...counts })),
    byAgent: named("agent").map(({ name, ...counts }) => ({ agent: name, ...counts })),
    attention: await findAttention(sql, question),
    firstSteps: question.agents === null ? await readFirstSteps(sql, workspaceId) : null,
  };
}

async function readFirstSteps(sql: TransactionSql, workspaceId: string): Promise<FirstSteps> {
  const [steps] = await sql<[FirstSteps]>`
    select exists (select from x3sproxy.secrets where workspace_id = ${workspaceId}) as key,
      exists (select from x3sproxy.agents where workspace_id = ${workspaceId}) as agent,
      exists (select from x3sproxy.activity_agents where workspace_id = ${workspaceId}) as call`;
  return steps;
}
