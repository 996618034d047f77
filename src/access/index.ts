// Who may do what: agents and their tokens on the control side, from a token to its grant on the data plane.
export { createAccess, type Access } from "./access.ts";
export { createAgents, type Agents, type AgentView, type Deployment } from "./agents.ts";
export {
  createCustomProviders,
  type CustomProviders,
  type CustomProviderView,
} from "./custom-providers.ts";
export { createEnvironments, type Environments } from "./environments.ts";
export type { CustomProvider, Grant } from "./grant.ts";
