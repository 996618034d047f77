// The paths of the pages: one table for the router and for the server that answers them. Pure.

/** The path of a page. `:id` and `:name` stand for one segment. */
export const PATHS = {
  overview: "/",
  secrets: "/secrets",
  secret: "/secrets/:id",
  agents: "/agents",
  agent: "/agents/:name",
  /** The proxy's refusals link here. */
  agentScope: "/agents/:name/scope",
  activity: "/activity",
  audit: "/audit",
  contexts: "/audit/contexts",
  users: "/users",
  apiKeys: "/api-keys",
  profile: "/settings",
  workspace: "/settings/workspace",
  newAgents: "/settings/new-agents",
  workspaces: "/settings/workspaces",
  providers: "/settings/providers",
  signIn: "/sign-in",
  setup: "/setup",
  invitation: "/invitation",
  reset: "/reset",
  enrolment: "/enrolment",
} as const;

export const agentPath = (name: string): string => `/agents/${encodeURIComponent(name)}`;
export const scopePath = (name: string): string => `${agentPath(name)}/scope`;
export const secretPath = (id: string): string => `/secrets/${encodeURIComponent(id)}`;
