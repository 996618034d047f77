// Grants: from a token's hash to what it may do, for as long as that is true.
export { createAccess, type Access } from "./access.ts";
export type { CustomProvider, Grant } from "./grant.ts";
export type { EachOpenCall, OpenCall } from "./open-calls.ts";
export type { Traded } from "./trade.ts";
