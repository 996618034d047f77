// Limits of agents and workspaces: requests, bytes and open calls. gcra.ts is the one rule for rates; memory, Redis and Postgres each keep its
// state. Counts that are no rate, open calls and failed authentications, say so where they are.
export { createFailures, type Failures } from "./failures.ts";
export type { LimitRefusal } from "./gcra.ts";
export { createLimiter, type Admission, type LimitedCall, type Limiter } from "./limiter.ts";
export type { Limits, WorkspaceLimits } from "./memory-store.ts";
export { requestsInPostgres } from "./postgres-store.ts";
