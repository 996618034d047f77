// Agents: their deployments, tokens and leases, what they may do, and how an agent gets its first token. Must never return a token that is
// stored: only its SHA-256 is.
export type { AgentFilter, AgentView } from "./agent-view.ts";
export type { Deployment } from "./repeated-deployment.ts";
export { createAgents, type Agents } from "./agents.ts";
export {
  createCustomProviders,
  type CustomProviders,
  type CustomProviderView,
} from "./custom-providers.ts";
export type { Rights } from "./demands.ts";
export { createNewAgents, type NewAgents, type NewAgentScope } from "./new-agents.ts";
export type { ScopeChange } from "./scope-change.ts";
export { createEnvironments, type Environments } from "./environments.ts";
export { createScopeTrials, type RememberedCall, type ScopeTrials } from "./scope-trials.ts";
export { createLeases, type Leases } from "./leases.ts";
export { createRegistrations, type Registrations } from "./registrations.ts";
export { createExpiredTokens, createUnusedTokens } from "./token-ends.ts";
