// Limits of agents and workspaces: requests, bytes and open calls.
export { createLimiter, type Admission, type LimitedCall, type Limiter } from "./limits.ts";
export type { Limits, WorkspaceLimits } from "./limits-use.ts";
