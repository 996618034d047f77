// How an agent gets its token, over REST: registrations, which its container trades, and leases, which their holder renews. Each token is
// in the answer that makes it and in no other.
import type { AgentView, CustomProviders, Leases, Registrations } from "../agents/index.ts";
import type { AgentTokenRoutes } from "../contract/index.ts";
import { builtInProviders } from "../providers/index.ts";
import { actorOf, callerOf } from "./funnel.ts";
import type { HandlersOf } from "./route.ts";

export function agentTokenHandlers(options: {
  registrations: Registrations;
  leases: Leases;
  customProviders: CustomProviders;
  publicUrl: string;
}): HandlersOf<AgentTokenRoutes> {
  const { registrations, leases } = options;

  return {
    "POST /agents/:name/registrations": async ({ params, body, request, reply }) => {
      const lifeMs = body.expiresInSeconds * 1000;
      const made = await registrations.create(actorOf(request), params.name, lifeMs);
      reply.code(201);
      return made;
    },

    "GET /agents/:name/registrations": async ({ params, request }) => ({
      registrations: await registrations.list(callerOf(request).workspaceId, params.name),
    }),

    "DELETE /agents/:name/registrations/:id": async ({ params, request }) => ({
      registration: await registrations.revoke(actorOf(request), params.name, params.id),
    }),

    "POST /agents/:name/leases": async ({ params, request, reply }) => {
      const by = actorOf(request);
      const taken = await leases.take(by, params.name);
      reply.code(201);
      return { ...taken, baseUrls: await baseUrlsOf(taken.agent, by.workspaceId, options) };
    },

    "PUT /agents/:name/leases/:id": async ({ params, request }) => ({
      lease: await leases.renew(actorOf(request), params.name, params.id),
    }),

    "DELETE /agents/:name/leases/:id": ({ params, request }) =>
      leases.end(actorOf(request), params.name, params.id),
  };
}

/** For each provider that the agent may use. */
export async function baseUrlsOf(
  agent: AgentView,
  workspaceId: string,
  { customProviders, publicUrl }: { customProviders: CustomProviders; publicUrl: string },
): Promise<Record<string, string>> {
  const reachable = agent.providers ?? [
    ...builtInProviders.keys(),
    ...(await customProviders.list(workspaceId)).map((provider) => provider.name),
  ];
  return Object.fromEntries(reachable.map((each) => [each, `${publicUrl}/${each}`]));
}
