// What a workspace gives new agents at most, over REST.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { WIDENING, type NewAgents } from "../agents/index.ts";
import { limitingParts } from "./agent-scope.ts";
import { actorOf, callerOf } from "./funnel.ts";
import { environmentName } from "./names.ts";
import { addRoute } from "./route.ts";

const MAX_ENVIRONMENTS = 200;

const changeBody = z.strictObject({
  environments: z
    .array(environmentName)
    .min(1)
    .max(MAX_ENVIRONMENTS)
    .nullable()
    .optional()
    .describe(
      "The only ones that they may be in; null: every one. Absent, here and below: as it was.",
    ),
  ...limitingParts,
});

const names = z.array(z.string()).nullable();
const oneView = z.object({
  newAgents: z.object({
    environments: names.describe("Null, here and below: not limited."),
    providers: names,
    rules: names,
    addresses: names,
    models: names,
    limits: z.object({
      requestsPerMinute: z.number().nullable(),
      openStreams: z.number().nullable(),
      bytesPerMinute: z.number().nullable(),
    }),
  }),
});

export function addNewAgentRoutes(
  app: FastifyInstance,
  { newAgents }: { newAgents: NewAgents },
): void {
  addRoute(app, {
    method: "GET",
    path: "/workspace/new-agents",
    summary: "Tell what the workspace gives new agents",
    description:
      "An agent begins with this as far as its deployment says nothing else, and has no more unless an admin says so. It gets sensitive " +
      "endpoints from an admin alone. An agent that is made under the name of one that was destroyed within a year has to fit that one's scope, too.",
    permission: "viewer",
    answer: oneView,
    handle: async ({ request }) => ({
      newAgents: await newAgents.get(callerOf(request).workspaceId),
    }),
  });

  addRoute(app, {
    method: "PATCH",
    path: "/workspace/new-agents",
    summary: "Change what the workspace gives new agents",
    description: "What is left out stays as it is. Agents that there are keep what they have.",
    permission: WIDENING.role,
    fresh: WIDENING.proof,
    body: changeBody,
    example: {
      environments: ["staging"],
      providers: ["openai"],
      limits: { requestsPerMinute: 60 },
    },
    answer: oneView,
    handle: async ({ body, request }) => ({
      newAgents: await newAgents.change(actorOf(request), body),
    }),
  });
}
