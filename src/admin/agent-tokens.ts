// What an agent gets its token by, over REST: registrations, which its container trades, and leases, which somebody renews. Each token is
// in the answer that makes it and in no other.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { AgentView, CustomProviders, Leases, Registrations } from "../agents/index.ts";
import { builtInProviders } from "../providers/index.ts";
import { agentView } from "./agent-scope.ts";
import { actorOf, callerOf } from "./funnel.ts";
import { agentName, time } from "./names.ts";
import { addRoute } from "./route.ts";

const MAX_LIFE_S = 24 * 3600;

/** Of an answer that holds a token. */
export const baseUrls = z
  .record(z.string(), z.string())
  .describe("By provider: where the agent finds the provider's own paths.");

const byName = { params: z.object({ name: agentName }), unknown: "agent_not_found" } as const;
const oneOf = z.object({ name: agentName, id: z.guid() });
const byRegistration = { params: oneOf, unknown: "registration_not_found" } as const;
const byLease = { params: oneOf, unknown: "lease_not_found" } as const;

const registrationView = z.object({
  id: z.string(),
  agent: z.string().describe("Its name."),
  createdAt: time,
  expiresAt: time,
  createdBy: z.string(),
});
const leaseView = z.object({
  id: z.string(),
  expiresAt: time.describe("Unless it is renewed before."),
});

export function addAgentTokenRoutes(
  app: FastifyInstance,
  options: {
    registrations: Registrations;
    leases: Leases;
    customProviders: CustomProviders;
    publicUrl: string;
  },
): void {
  const { registrations, leases } = options;

  addRoute(app, {
    method: "POST",
    path: "/agents/:name/registrations",
    summary:
      "Make a registration: its token, shown once, is traded once for the agent's next token",
    description:
      "The agent's container trades it at `POST /_x3sproxy/register` of the proxy. That is a new deployment: it ends the agent's other tokens.",
    permission: "operator",
    forAgent: true,
    ...byName,
    body: z.strictObject({
      expiresInSeconds: z.int().min(60).max(MAX_LIFE_S).default(3600),
    }),
    example: { expiresInSeconds: 3600 },
    answer: z.object({
      registration: registrationView,
      token: z.string().describe("`x3sreg_…`: shown here and nowhere else."),
    }),
    success: [201],
    async handle({ params, body, request, reply }) {
      const lifeMs = body.expiresInSeconds * 1000;
      const made = await registrations.create(actorOf(request), params.name, lifeMs);
      reply.code(201);
      return made;
    },
  });

  addRoute(app, {
    method: "GET",
    path: "/agents/:name/registrations",
    summary: "List an agent's registrations that can still be traded, oldest first",
    permission: "viewer",
    forAgent: true,
    ...byName,
    answer: z.object({ registrations: z.array(registrationView) }),
    handle: async ({ params, request }) => ({
      registrations: await registrations.list(callerOf(request).workspaceId, params.name),
    }),
  });

  addRoute(app, {
    method: "DELETE",
    path: "/agents/:name/registrations/:id",
    summary: "Revoke a registration",
    permission: "operator",
    forAgent: true,
    ...byRegistration,
    answer: z.object({ registration: registrationView }),
    handle: async ({ params, request }) => ({
      registration: await registrations.revoke(actorOf(request), params.name, params.id),
    }),
  });

  addRoute(app, {
    method: "POST",
    path: "/agents/:name/leases",
    summary:
      "Take a lease: a token beside the deployment's, for two minutes and as long as it is renewed",
    permission: "operator",
    forAgent: true,
    ...byName,
    body: z.strictObject({}),
    answer: z.object({
      lease: leaseView,
      agent: agentView,
      token: z.string().describe("`x3sproxy_…`: shown here and nowhere else."),
      baseUrls,
    }),
    success: [201],
    async handle({ params, request, reply }) {
      const by = actorOf(request);
      const taken = await leases.take(by, params.name);
      reply.code(201);
      return { ...taken, baseUrls: await baseUrlsOf(taken.agent, by.workspaceId, options) };
    },
  });

  addRoute(app, {
    method: "PUT",
    path: "/agents/:name/leases/:id",
    summary: "Renew a lease: it lives for two minutes from now",
    permission: "operator",
    forAgent: true,
    ...byLease,
    answer: z.object({ lease: leaseView }),
    handle: async ({ params, request }) => ({
      lease: await leases.renew(actorOf(request), params.name, params.id),
    }),
  });

  addRoute(app, {
    method: "DELETE",
    path: "/agents/:name/leases/:id",
    summary: "End a lease: its token stops working at once",
    permission: "operator",
    forAgent: true,
    ...byLease,
    handle: ({ params, request }) => leases.end(actorOf(request), params.name, params.id),
  });
}

/** By provider that the agent may use. */
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
