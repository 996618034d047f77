// Grants: from a token's hash to what it may do, for as long as that is true.
export { createGrants, type Grants } from "./grants.ts";
export type { CustomProvider, Grant } from "./grant.ts";
export type { EachOpenCall, OpenCall } from "./open-calls.ts";
export type { Traded } from "./trade.ts";
