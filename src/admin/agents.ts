// Agents over REST. A deployment's answer is the only one that ever holds a proxy token.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Agents, AgentView, CustomProviders } from "../access/index.ts";
import type { ActivityViews } from "../activity/index.ts";
import { RequestError } from "../errors.ts";
import { builtInProviders } from "../providers/index.ts";
import { agentUseFields, withUse } from "./agent-use.ts";
import { actorOf, callerOf } from "./funnel.ts";
import { agentName, environmentName, providerName, time } from "./names.ts";
import { createPaging, nextCursor, pageQuery } from "./paging.ts";
import { addRoute } from "./route.ts";

const MAX_NAMES = 200;
const MAX_TTL_S = 365 * 24 * 3600;

const deployBody = z.strictObject({
  environment: environmentName
    .optional()
    .describe("Whose keys it uses. Absent: as it was; at first, production."),
  providers: z
    .array(providerName)
    .max(MAX_NAMES)
    .nullable()
    .optional()
    .describe("The only providers that it may use; null: every one. Absent: as it was."),
  allowedEndpoints: z
    .array(z.string().max(200))
    .max(MAX_NAMES)
    .optional()
    .describe("Sensitive endpoints that it may call, as `provider:name`. Absent: as it was."),
  ttlSeconds: z
    .int()
    .positive()
    .max(MAX_TTL_S)
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

const agentView = z
  .object({
    id: z.string(),
    name: z.string(),
    environment: z.string().describe("Whose keys it uses."),
    providers: z.array(z.string()).nullable().describe("Null: every provider."),
    allowedEndpoints: z.array(z.string()).describe("Sensitive endpoints that it may call."),
    deployment: z.number().int().describe("Counts from 1."),
    createdAt: time,
    deployedAt: time,
    expiresAt: time.nullable().describe("When its token ends; null: never."),
  })
  .meta({ id: "Agent" });

const pages = createPaging("agents", z.tuple([agentName]), ({ name }: AgentView) => [name]);

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
  const { agents, activity, customProviders, publicUrl } = options;

  addRoute(app, {
    method: "GET",
    path: "/agents",
    summary: "List the agents, by name",
    permission: "viewer",
    query: pageQuery,
    answer: z.object({ agents: z.array(agentInUseView), nextCursor }),
    async handle({ query, request }) {
      const { workspaceId, agents: only } = callerOf(request);
      const { rows, nextCursor } = await pages.read(query, (page) =>
        agents.list(workspaceId, page, only),
      );
      return { agents: await withUse(activity, workspaceId, rows), nextCursor };
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
      "Makes the agent if there is none of this name. A redeployment keeps what it is not told to change.",
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
      baseUrls: z
        .record(z.string(), z.string())
        .describe("By provider: where the agent finds the provider's own paths."),
    }),
    success: [201],
    async handle({ params, headers, body, request, reply }) {
      const { name } = byName.params.parse(params);
      const { environment, providers, allowedEndpoints, ttlSeconds } = body;
      const by = actorOf(request);
      const { agent, token } = await agents.deploy(
        by,
        {
          name,
          ...(environment !== undefined && { environment }),
          ...(providers !== undefined && { providers }),
          ...(allowedEndpoints !== undefined && { allowedEndpoints }),
          ...(ttlSeconds !== undefined && { ttlMs: ttlSeconds && ttlSeconds * 1000 }),
        },
        headers["idempotency-key"],
      );
      const reachable = agent.providers ?? [
        ...builtInProviders.keys(),
        ...(await customProviders.list(by.workspaceId)).map((provider) => provider.name),
      ];
      reply.code(201);
      return {
        agent,
        token,
        expiresAt: agent.expiresAt,
        baseUrls: Object.fromEntries(reachable.map((each) => [each, `${publicUrl}/${each}`])),
      };
    },
  });

  addRoute(app, {
    method: "DELETE",
    path: "/agents/:name",
    summary: "Destroy an agent; its token ends",
    permission: "operator",
    forAgent: true,
    ...byName,
    answer: z.object({ agent: agentView }),
    handle: async ({ params, request }) => ({
      agent: await agents.destroy(actorOf(request), params.name),
    }),
  });
}
