// The installation's workspaces over REST. The answer that makes a setup link is the only one that ever holds it.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Identity, SetupLink, WorkspaceSummary } from "../identity/index.ts";
import { actorOf, callerOf } from "./funnel.ts";
import { time, workspaceName } from "./names.ts";
import { createPaging, nextCursor, pageQuery } from "./paging.ts";
import { addRoute } from "./route.ts";

const byWorkspace = { params: z.object({ id: z.guid() }), unknown: "workspace_not_found" } as const;

const workspaceView = z.object({
  id: z.string(),
  name: z.string(),
  /** Whether it is the installation's first, whose owners manage the others. */
  home: z.boolean(),
  createdAt: time,
  users: z.number(),
  agents: z.number(),
  secrets: z.number(),
  /** Of the link for its first user, while it has none. */
  setupEndsAt: time.nullable(),
});
const setupLink = { url: z.string(), expiresAt: time };

const pages = createPaging("workspaces", z.tuple([z.string()]), ({ name }: WorkspaceSummary) => [
  name,
]);

export function addAllWorkspacesRoutes(
  app: FastifyInstance,
  o: { identity: Identity; dashboardUrl: string },
): void {
  const workspaces = o.identity.allWorkspaces;
  const shown = ({ token, expiresAt }: SetupLink) => ({
    url: `${o.dashboardUrl}/setup#token=${token}`,
    expiresAt,
  });

  addRoute(app, {
    method: "GET",
    path: "/workspaces",
    summary: "List the workspaces: to an owner of the home workspace all, to others their own",
    permission: "owner",
    query: pageQuery,
    answer: z.object({ workspaces: z.array(workspaceView), nextCursor }),
    async handle({ query, request }) {
      const { workspaceId } = callerOf(request);
      const { rows, nextCursor } = await pages.read(query, (page) =>
        workspaces.list(workspaceId, page),
      );
      return { workspaces: rows, nextCursor };
    },
  });

  addRoute(app, {
    method: "POST",
    path: "/workspaces",
    summary: "Make a workspace, and a link, shown once, for its first user",
    description: "For owners of the home workspace. The link works once, for 72 hours.",
    permission: "owner",
    fresh: true,
    body: z.strictObject({ name: workspaceName }),
    example: { name: "research" },
    answer: z.object({ workspace: workspaceView, ...setupLink }),
    success: [201],
    async handle({ body, request, reply }) {
      const { workspace, ...link } = await workspaces.create(actorOf(request), body.name);
      reply.code(201);
      return { workspace, ...shown(link) };
    },
  });

  addRoute(app, {
    method: "POST",
    path: "/workspaces/:id/setup-link",
    summary: "Make another link, shown once, for a workspace that has no user yet",
    description: "For owners of the home workspace. The link before it stops working.",
    permission: "owner",
    fresh: true,
    ...byWorkspace,
    answer: z.object(setupLink),
    handle: async ({ params, request }) =>
      shown(await workspaces.renewSetupLink(actorOf(request), params.id)),
  });

  addRoute(app, {
    method: "DELETE",
    path: "/workspaces/:id",
    summary: "Delete a workspace with all that is in it",
    description:
      "For owners of the home workspace, which itself can't be deleted. The body repeats the workspace's name. Its agents' tokens, API " +
      "keys and sessions end at once; its audit stays in the database.",
    permission: "owner",
    fresh: true,
    ...byWorkspace,
    body: z.strictObject({ name: workspaceName }),
    example: { name: "research" },
    answer: z.object({ workspace: workspaceView }),
    handle: async ({ params, body, request }) => ({
      workspace: await workspaces.delete(actorOf(request), params.id, body.name),
    }),
  });
}
