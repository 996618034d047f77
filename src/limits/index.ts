// Limits of agents and workspaces: requests, bytes and open calls.
export { createFailures, type Failures } from "./failures.ts";
export { createLimiter, type Admission, type LimitedCall, type Limiter } from "./limiter.ts";
export type { Limits, WorkspaceLimits } from "./memory-store.ts";
