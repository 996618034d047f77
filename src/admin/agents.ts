// Agents over REST. A deployment's answer is the only one that ever holds a proxy token.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Agents, CustomProviders } from "../access/index.ts";
import { builtInProviders } from "../providers/index.ts";
import { callerOf } from "./funnel.ts";
import { agentName, environmentName, fromPath, providerName } from "./names.ts";

const MAX_NAMES = 200;
const MAX_TTL_S = 365 * 24 * 3600;

const deployBody = z.strictObject({
  environment: environmentName.optional(),
  /** Null: every provider. Absent: as it was. */
  providers: z.array(providerName).max(MAX_NAMES).nullable().optional(),
  allowedEndpoints: z.array(z.string().max(200)).max(MAX_NAMES).optional(),
  /** Null: without end. Absent: as it was. */
  ttlSeconds: z.int().positive().max(MAX_TTL_S).nullable().optional(),
});

export function addAgentRoutes(
  app: FastifyInstance,
  options: { agents: Agents; customProviders: CustomProviders; publicUrl: string },
): void {
  const { agents, customProviders, publicUrl } = options;

  app.get("/api/v1/agents", { config: { permission: "viewer" } }, async (request) => ({
    agents: await agents.list(callerOf(request).workspaceId),
  }));

  app.post(
    "/api/v1/agents/:name/deployments",
    { config: { permission: "operator" } },
    async (request, reply) => {
      const { workspaceId } = callerOf(request);
      const name = z.object({ name: agentName }).parse(request.params).name;
      const { environment, providers, allowedEndpoints, ttlSeconds } = deployBody.parse(
        request.body ?? {},
      );
      const { agent, token } = await agents.deploy(workspaceId, {
        name,
        ...(environment !== undefined && { environment }),
        ...(providers !== undefined && { providers }),
        ...(allowedEndpoints !== undefined && { allowedEndpoints }),
        ...(ttlSeconds !== undefined && { ttlMs: ttlSeconds && ttlSeconds * 1000 }),
      });
      const reachable = agent.providers ?? [
        ...builtInProviders.keys(),
        ...(await customProviders.list(workspaceId)).map((provider) => provider.name),
      ];
      reply.code(201);
      return {
        agent,
        token,
        expiresAt: agent.expiresAt,
        baseUrls: Object.fromEntries(reachable.map((each) => [each, `${publicUrl}/${each}`])),
      };
    },
  );

  app.delete("/api/v1/agents/:name", { config: { permission: "operator" } }, async (request) => {
    const { name } = fromPath(z.object({ name: agentName }), request.params, "agent_not_found");
    return { agent: await agents.destroy(callerOf(request).workspaceId, name) };
  });
}
