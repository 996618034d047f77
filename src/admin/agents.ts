// Agents over REST. A deployment's answer is the only one that ever holds a proxy token.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { WIDENING, type Agents, type AgentView, type CustomProviders } from "../agents/index.ts";
import type { ActivityViews } from "../activity/index.ts";
import { RequestError } from "../errors.ts";
import { baseUrls, baseUrlsOf } from "./agent-tokens.ts";
import { agentUseFields, withUse } from "./agent-use.ts";
import { agentView, rightsOf, scopeChange } from "./agent-scope.ts";
import { actorOf, callerOf } from "./funnel.ts";
import { agentName, environmentName, providerName, time } from "./names.ts";
import {
  createPaging,
  nextCursor,
  pageParameters,
  searchParameter,
  total,
  totalOf,
} from "./paging.ts";
import { addRoute } from "./route.ts";

const MAX_TTL_S = 365 * 24 * 3600;

const deployBody = z.strictObject({
  ...scopeChange,
  ttlSeconds: z
    .int()
    .positive()
    .max(MAX_TTL_S)
    .meta({ minimum: 60 })
    .nullable()
    .optional()
    .describe("Life of the token, from a minute; null: without end. Absent: as it was."),
});
const deployHeaders = z.object({
  "idempotency-key": z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, "give 1 to 200 visible ASCII characters")
    .optional()
    .describe(
      "A random text of your own for this one deployment. Sent again with the same body within 24 hours, it gives the " +
        "same answer, token included, as long as that deployment is the newest; else 409 `idempotency_conflict`.",
    ),
});
const byName = { params: z.object({ name: agentName }), unknown: "agent_not_found" } as const;

const pages = createPaging("agents", z.tuple([agentName]), ({ name }: AgentView) => [name]);

const listQuery = z.strictObject({
  ...pageParameters,
  ...searchParameter,
  environment: environmentName.optional().describe("Only those in it."),
  mayUse: providerName.optional().describe("Only those whose scope lets them use this provider."),
  used: providerName.optional().describe("Only those that have used this provider."),
});

const agentInUseView = agentView.extend(agentUseFields);

export function addAgentRoutes(
  app: FastifyInstance,
  options: {
    agents: Agents;
    activity: ActivityViews;
    customProviders: CustomProviders;
    publicUrl: string;
  },
): void {
  const { agents, activity } = options;

  addRoute(app, {
    method: "GET",
    path: "/agents",
    summary: "List the agents, by name",
    permission: "viewer",
    query: listQuery,
    answer: z.object({ agents: z.array(agentInUseView), total, nextCursor }),
    async handle({ query: { limit, cursor, ...filter }, request }) {
      const { workspaceId, agents: only } = callerOf(request);
      const page = await pages.read({ limit, cursor }, (part) =>
        agents.list(workspaceId, part, only, filter),
      );
      return {
        agents: await withUse(activity, workspaceId, page.rows),
        total: await totalOf({ cursor }, page, () => agents.count(workspaceId, only, filter)),
        nextCursor: page.nextCursor,
      };
    },
  });

  addRoute(app, {
    method: "GET",
    path: "/agents/:name",
    summary: "Show an agent and its use",
    permission: "viewer",
    forAgent: true,
    ...byName,
    answer: z.object({ agent: agentInUseView }),
    async handle({ params, request }) {
      const { workspaceId } = callerOf(request);
      const found = await agents.list(workspaceId, undefined, [params.name]);
      const [agent] = await withUse(activity, workspaceId, found);
      if (agent !== undefined) return { agent };
      throw new RequestError(404, "agent_not_found", `there is no agent "${params.name}"`);
    },
  });

  addRoute(app, {
    method: "POST",
    path: "/agents/:name/deployments",
    summary: "Deploy an agent: a new token, shown once; the one before ends",
    description:
      "Makes the agent if there is none of this name. A redeployment keeps what it is not told to change; one of a suspended agent " +
      "leaves it suspended (`suspendedAt`). An operator chooses the scope of a new agent within what the workspace gives new agents " +
      "(`GET /workspace/new-agents`) and what a destroyed agent of this name had. More than that, or another scope or environment than " +
      "the agent has, takes what `PATCH /agents/:name/scope` takes.",
    permission: "operator",
    forAgent: true,
    params: z.object({ name: z.string() }),
    headers: deployHeaders,
    body: deployBody,
    example: { providers: ["anthropic", "openai"], ttlSeconds: 43_200 },
    answer: z.object({
      agent: agentView,
      token: z.string().describe("`x3sproxy_…`: shown here and nowhere else."),
      expiresAt: time.nullable().describe("When the token ends; null: never."),
      baseUrls,
    }),
    success: [201],
    async handle({ params, headers, body, request, reply }) {
      const { name } = byName.params.parse(params);
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
  });

  addRoute(app, {
    method: "PATCH",
    path: "/agents/:name/scope",
    summary: "Change what an agent may do: at once, with the token that it has",
    description: "What is left out stays as it is.",
    permission: WIDENING.role,
    fresh: WIDENING.proof,
    ...byName,
    body: z.strictObject(scopeChange),
    example: {
      rules: ["POST /anthropic/v1/messages"],
      models: ["claude-*"],
      limits: { requestsPerMinute: 60 },
    },
    answer: z.object({ agent: agentView }),
    handle: async ({ params, body, request }) => ({
      agent: await agents.changeScope(
        actorOf(request),
        params.name,
        body,
        rightsOf(callerOf(request)),
      ),
    }),
  });

  addRoute(app, {
    method: "POST",
    path: "/agents/:name/suspend",
    summary: "Suspend an agent: its calls are refused, and the open ones are cut",
    description:
      "Within a second, on every process. Its token stays, and a redeployment leaves it suspended. Does nothing when it is.",
    permission: "operator",
    emergency: true,
    forAgent: true,
    ...byName,
    answer: z.object({ agent: agentView }),
    handle: async ({ params, request }) => ({
      agent: await agents.suspend(actorOf(request), params.name),
    }),
  });

  addRoute(app, {
    method: "POST",
    path: "/agents/:name/resume",
    summary: "Let a suspended agent go on, with the token that it has",
    permission: "operator",
    forAgent: true,
    ...byName,
    answer: z.object({ agent: agentView }),
    handle: async ({ params, request }) => ({
      agent: await agents.resume(actorOf(request), params.name),
    }),
  });

  addRoute(app, {
    method: "DELETE",
    path: "/agents/:name",
    summary: "Destroy an agent: its token ends, and its open calls are cut",
    permission: "operator",
    forAgent: true,
    ...byName,
    answer: z.object({ agent: agentView }),
    handle: async ({ params, request }) => ({
      agent: await agents.destroy(actorOf(request), params.name),
    }),
  });
}
