// Everything about people and their keys over REST, resource by resource; and who a program is.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Identity } from "../identity/index.ts";
import { addAllWorkspacesRoutes } from "./all-workspaces.ts";
import { addApiKeyRoutes } from "./api-keys.ts";
import { createSessionCookie } from "./cookies.ts";
import { callerOf } from "./funnel.ts";
import { addLinkRoutes } from "./links.ts";
import { addMeRoutes } from "./me.ts";
import { createSelves, role } from "./people.ts";
import { addRoute } from "./route.ts";
import { addSignInRoutes } from "./sign-in.ts";
import { addUserRoutes } from "./users.ts";
import { addWorkspaceRoutes } from "./workspace.ts";

export function addIdentityRoutes(
  app: FastifyInstance,
  { identity, dashboardUrl }: { identity: Identity; dashboardUrl: string },
): void {
  const cookie = createSessionCookie(dashboardUrl);
  const selves = createSelves({ identity, cookie });

  addRoute(app, {
    method: "GET",
    path: "/whoami",
    summary: "Tell who is asking",
    permission: "self",
    answer: z.object({ id: z.string(), name: z.string(), role, workspaceId: z.string() }),
    handle: ({ request }) => callerOf(request),
  });
  addSignInRoutes(app, { identity, selves });
  addMeRoutes(app, { identity, selves });
  addLinkRoutes(app, { identity, selves });
  addUserRoutes(app, { identity, dashboardUrl });
  addApiKeyRoutes(app, { identity });
  addWorkspaceRoutes(app, { identity });
  addAllWorkspacesRoutes(app, { identity, dashboardUrl });
}
