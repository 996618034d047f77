// The caller's workspace over REST: name, rules, limits, the switch that suspends all agents, environments, and the most that new agents
// may get.
import type { Environments, NewAgents } from "../agents/index.ts";
import type { WorkspaceRoutes } from "../contract/index.ts";
import type { Identity } from "../identity/index.ts";
import { actorOf, callerOf } from "./funnel.ts";
import type { HandlersOf } from "./route.ts";

export function workspaceHandlers(o: {
  identity: Identity;
  environments: Environments;
  newAgents: NewAgents;
}): HandlersOf<WorkspaceRoutes> {
  const { environments, newAgents } = o;
  const { workspaces } = o.identity;

  return {
    "GET /workspace": async ({ request }) => {
      const { workspaceId, agents } = callerOf(request);
      return { workspace: await workspaces.get(workspaceId, agents) };
    },

    "PATCH /workspace": async ({ body, request }) => ({
      workspace: await workspaces.change(actorOf(request), body),
    }),

    "POST /workspace/suspend": async ({ request }) => ({
      workspace: await workspaces.suspendAgents(actorOf(request)),
    }),

    "POST /workspace/resume": async ({ request }) => ({
      workspace: await workspaces.resumeAgents(actorOf(request)),
    }),

    "GET /environments": async ({ request }) => {
      const { workspaceId, agents } = callerOf(request);
      return { environments: await environments.list(workspaceId, agents) };
    },

    "PATCH /environments/:name": async ({ params, body, request }) => ({
      environment: await environments.rename(actorOf(request), params.name, body.name),
    }),

    "GET /workspace/new-agents": async ({ request }) => ({
      newAgents: await newAgents.get(callerOf(request).workspaceId),
    }),

    "PATCH /workspace/new-agents": async ({ body, request }) => ({
      newAgents: await newAgents.change(actorOf(request), body),
    }),
  };
}
