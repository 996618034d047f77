// The caller's workspace over REST: its name and its rules.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Identity } from "../identity/index.ts";
import { actorOf, callerOf } from "./funnel.ts";
import { workspaceName } from "./names.ts";
import { addRoute } from "./route.ts";

const days = z.int().min(1).max(3650);
const changeBody = z.strictObject({
  name: workspaceName.optional(),
  secondFactorRequired: z.boolean().optional(),
  rotationDays: days.optional(),
  idleDays: days.optional(),
});

const oneWorkspace = z.object({
  workspace: z.object({
    id: z.string(),
    name: z.string(),
    secondFactorRequired: z.boolean(),
    rotationDays: z.number(),
    idleDays: z.number(),
    environments: z.array(z.string()),
  }),
});

export function addWorkspaceRoutes(
  app: FastifyInstance,
  { identity: { workspaces } }: { identity: Identity },
): void {
  addRoute(app, {
    method: "GET",
    path: "/workspace",
    summary: "Tell the workspace's name and rules",
    permission: "viewer",
    answer: oneWorkspace,
    handle: async ({ request }) => ({
      workspace: await workspaces.get(callerOf(request).workspaceId),
    }),
  });

  addRoute(app, {
    method: "PATCH",
    path: "/workspace",
    summary: "Change the workspace's name or rules",
    permission: "owner",
    fresh: true,
    body: changeBody,
    answer: oneWorkspace,
    handle: async ({ body, request }) => ({
      workspace: await workspaces.change(actorOf(request), body),
    }),
  });
}
