// Who may do what: agents and their tokens on the control side, from a token to its grant on the data plane.
export { createAccess, type Access } from "./access.ts";
export type { AgentView } from "./agent-view.ts";
export { createAgents, type AgentFilter, type Agents, type Deployment } from "./agents.ts";
export {
  createCustomProviders,
  type CustomProviders,
  type CustomProviderView,
} from "./custom-providers.ts";
export type { CustomProvider, Grant, Limits, WorkspaceLimits } from "./grant.ts";
export type { Rights } from "./demands.ts";
export { createNewAgents, type NewAgents, type NewAgentScope } from "./new-agents.ts";
export type { EachOpenCall, OpenCall } from "./open-calls.ts";
export { createLimiter, type Admission, type Limiter } from "./limits.ts";
export type { CallFacts } from "./scope.ts";
export type { ScopeChange } from "./scope-change.ts";
export { createEnvironments, type Environments } from "./environments.ts";
export { scopeTemplates, type ScopeTemplate } from "./scope-templates.ts";
export { createScopeTrials, type RememberedCall, type ScopeTrials } from "./scope-trials.ts";
export { createLeases, type Leases } from "./leases.ts";
export { createRegistrations, type Registrations } from "./registrations.ts";
export type { Traded } from "./trade.ts";
export { createExpiredTokens } from "./expired-tokens.ts";
export { createUnusedTokens } from "./unused-tokens.ts";
