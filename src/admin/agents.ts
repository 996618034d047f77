// Agents over REST. Of these answers only a deployment's holds a token.
import { z } from "zod";
import type { Agents, AgentView, CustomProviders, Rights, ScopeTrials } from "../agents/index.ts";
import type { ActivityViews, AgentUse, CallViews } from "../activity/index.ts";
import {
  agentName,
  roleAllows,
  WIDENING,
  type AgentRoutes,
  type DryRun,
} from "../contract/index.ts";
import { RequestError } from "../platform/errors.ts";
import type { Caller } from "../identity/index.ts";
import { baseUrlsOf } from "./agent-tokens.ts";
import { actorOf, callerOf } from "./funnel.ts";
import { createPaging, totalOf } from "./paging.ts";
import type { HandlersOf } from "./route.ts";

const MAX_EXAMPLES = 20;

// A malformed name is the caller's mistake (422), not a missing agent (404).
const newName = z.object({ name: agentName });

const pages = createPaging("agents", z.tuple([agentName]), ({ name }: AgentView) => [name]);

// The agent may have been made between the two queries.
const NOT_USED: AgentUse = {
  lastUsedAt: null,
  requests24h: 0,
  refusals24h: 0,
  providersUsed: [],
  idle: false,
};

export function agentHandlers(options: {
  agents: Agents;
  activity: ActivityViews;
  customProviders: CustomProviders;
  scopeTrials: ScopeTrials;
  calls: CallViews;
  publicUrl: string;
}): HandlersOf<AgentRoutes> {
  const { agents, activity, scopeTrials, calls } = options;

  const withUse = async (workspaceId: string, views: readonly AgentView[]) => {
    const use = await activity.agentUse(
      workspaceId,
      views.map(({ name }) => name),
    );
    return views.map((agent) => ({ ...agent, ...(use.get(agent.name) ?? NOT_USED) }));
  };

  return {
    "GET /agents": async ({ query: { limit, cursor, ...filter }, request }) => {
      const { workspaceId, agents: only } = callerOf(request);
      const page = await pages.read({ limit, cursor }, (part) =>
        agents.list(workspaceId, part, only, filter),
      );
      return {
        agents: await withUse(workspaceId, page.rows),
        total: await totalOf({ cursor }, page, () => agents.count(workspaceId, only, filter)),
        nextCursor: page.nextCursor,
      };
    },

    "GET /agents/:name": async ({ params, request }) => {
      const { workspaceId } = callerOf(request);
      const found = await agents.list(workspaceId, undefined, [params.name]);
      const [agent] = await withUse(workspaceId, found);
      if (agent !== undefined) return { agent };
      throw new RequestError(404, "agent_not_found", `there is no agent "${params.name}"`);
    },

    "POST /agents/:name/deployments": async ({ params, headers, body, request, reply }) => {
      const { name } = newName.parse(params);
      const { ttlSeconds, ...wanted } = body;
      const by = actorOf(request);
      const { agent, token } = await agents.deploy(
        by,
        { ...wanted, name, ttlMs: ttlSeconds && ttlSeconds * 1000 },
        {
          idempotencyKey: headers["idempotency-key"],
          rights: rightsOf(callerOf(request)),
        },
      );
      reply.code(201);
      return {
        agent,
        token,
        expiresAt: agent.expiresAt,
        baseUrls: await baseUrlsOf(agent, by.workspaceId, options),
      };
    },

    "PATCH /agents/:name/scope": async ({ params, body, request }) => ({
      agent: await agents.changeScope(
        actorOf(request),
        params.name,
        body,
        rightsOf(callerOf(request)),
      ),
    }),

    "POST /agents/:name/suspend": async ({ params, request }) => ({
      agent: await agents.suspend(actorOf(request), params.name),
    }),

    "POST /agents/:name/resume": async ({ params, request }) => ({
      agent: await agents.resume(actorOf(request), params.name),
    }),

    "DELETE /agents/:name": async ({ params, request }) => ({
      agent: await agents.destroy(actorOf(request), params.name),
    }),

    "POST /agents/:name/scope/dry-run": async ({ params, body, request }) => {
      const { workspaceId } = callerOf(request);
      const trial = await scopeTrials.begin(workspaceId, params.name, body);
      const { from, to, counts } = await calls.lastDay(workspaceId, trial.agentId);
      const byReason = new Map<string, number>();
      const examples: DryRun["examples"] = [];
      let [all, refused, unknown] = [0, 0, 0];
      for (const { calls: count, ...call } of counts) {
        const reason = trial.judge(call);
        all += count;
        if (reason === "unknown") unknown += count;
        if (reason === undefined || reason === "unknown") continue;
        refused += count;
        byReason.set(reason, (byReason.get(reason) ?? 0) + count);
        if (examples.length < MAX_EXAMPLES) examples.push({ ...call, reason, calls: count });
      }
      const dryRun: DryRun = {
        ...{ from, to, calls: all, refused, unknown },
        judged: { models: false, limits: false },
        byReason: [...byReason]
          .map(([reason, count]) => ({ reason, calls: count }))
          .sort((a, b) => b.calls - a.calls),
        examples,
      };
      return { dryRun };
    },
  };
}

/** Whether the caller has the role and the proof that widening a scope needs. */
function rightsOf({ role, session }: Caller): Rights {
  return { hasRole: roleAllows(role, WIDENING.role), hasProof: session?.fresh !== false };
}
