// Every route of the REST API.
import { accountRoutes } from "./account.ts";
import { activityRoutes } from "./activity.ts";
import { agentTokenRoutes } from "./agent-tokens.ts";
import { agentRoutes } from "./agents.ts";
import { apiKeyRoutes } from "./api-keys.ts";
import { auditRoutes } from "./audit.ts";
import type { Routes } from "./declaration.ts";
import { installationRoutes } from "./installation.ts";
import { providerRoutes } from "./providers.ts";
import { secretRoutes } from "./secrets.ts";
import { userRoutes } from "./users.ts";
import { workspaceRoutes } from "./workspace.ts";

export const ROUTES = {
  ...accountRoutes,
  ...userRoutes,
  ...apiKeyRoutes,
  ...workspaceRoutes,
  ...installationRoutes,
  ...secretRoutes,
  ...agentRoutes,
  ...agentTokenRoutes,
  ...providerRoutes,
  ...auditRoutes,
  ...activityRoutes,
} satisfies Routes;
