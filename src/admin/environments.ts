// Environments over REST.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { WIDENING, type Environments } from "../agents/index.ts";
import { actorOf, callerOf } from "./funnel.ts";
import { environmentName } from "./names.ts";
import { addRoute } from "./route.ts";

const environmentView = z.object({ name: z.string(), secrets: z.number(), agents: z.number() });

export function addEnvironmentRoutes(
  app: FastifyInstance,
  { environments }: { environments: Environments },
): void {
  addRoute(app, {
    method: "GET",
    path: "/environments",
    summary: "List the environments, with how many keys and agents are in each",
    permission: "viewer",
    answer: z.object({ environments: z.array(environmentView) }),
    async handle({ request }) {
      const { workspaceId, agents } = callerOf(request);
      return { environments: await environments.list(workspaceId, agents) };
    },
  });

  addRoute(app, {
    method: "PATCH",
    path: "/environments/:name",
    summary: "Rename an environment: its agents and keys move together",
    description:
      "Tokens stay as they are. Where there is an environment of the new name already, the two become one, and the agents of each use " +
      "the keys of both.",
    permission: WIDENING.role,
    fresh: WIDENING.proof,
    params: z.object({ name: environmentName }),
    unknown: "environment_not_found",
    body: z.strictObject({ name: environmentName }),
    example: { name: "staging" },
    answer: z.object({ environment: environmentView }),
    handle: async ({ params, body, request }) => ({
      environment: await environments.rename(actorOf(request), params.name, body.name),
    }),
  });
}
