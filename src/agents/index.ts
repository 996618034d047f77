// Agents: their deployments and tokens, what they may do, and how they come to their first token.
export type { AgentView } from "./agent-view.ts";
export { createAgents, type AgentFilter, type Agents, type Deployment } from "./agents.ts";
export {
  createCustomProviders,
  type CustomProviders,
  type CustomProviderView,
} from "./custom-providers.ts";
export { WIDENING, type Rights } from "./demands.ts";
export { createNewAgents, type NewAgents, type NewAgentScope } from "./new-agents.ts";
export type { ScopeChange } from "./scope-change.ts";
export { createEnvironments, type Environments } from "./environments.ts";
export { createScopeTrials, type RememberedCall, type ScopeTrials } from "./scope-trials.ts";
export { createLeases, type Leases } from "./leases.ts";
export { createRegistrations, type Registrations } from "./registrations.ts";
export { createExpiredTokens } from "./expired-tokens.ts";
export { createUnusedTokens } from "./unused-tokens.ts";
