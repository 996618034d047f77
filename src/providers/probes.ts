// The calls that prove a key, as most rows have them. A call is here only when a bad key can't pass it: many providers list
// their models for everybody.
import type { ProviderProbe } from "./definition.ts";

/** How a bad key is answered (RFC 9110, 15.5.2 and 15.5.4). */
export const UNAUTHORISED: readonly number[] = [401, 403];

/** A plain GET that needs nothing but the key. */
export function probe(path: string): ProviderProbe {
  return { path, headers: [], refusedWith: UNAUTHORISED };
}
