// The names that both sides give a request, for whoever has to find it in their logs: the client's own, its trace, and the
// upstream's. Both sides write what they like into them, so the log gets none that might be a credential.
import { holdsCredential } from "./context.ts";
import type { Exchange } from "./exchange.ts";
import { fieldName } from "./field-names.ts";

const SAFE = /^[A-Za-z0-9_.:/=+-]{1,128}$/;
// A common form of ids, and of Azure's and Mistral's keys. The key of the call itself is looked for as such.
const HEX_ID = /^[0-9a-f]{32}$/;
// What shows less of a key than this shows no more than the dashboard does.
const SHORTEST_PART = 5;

/** Notes what a request's headers say, unread: it is looked at when the record is made. */
export function noteRequestIds(exchange: Exchange, rawHeaders: readonly string[]): void {
  exchange.traceparent = undefined;
  exchange.clientRequestId = undefined;
  let rank = 0;
  let traces = 0;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const field = fieldName(rawHeaders[i] ?? "");
    if (!field.isIdentifying) continue;
    const value = rawHeaders[i + 1] ?? "";
    if (field.lower === "traceparent") {
      // Of two, nobody can tell which is meant.
      exchange.traceparent = ++traces === 1 ? value : undefined;
    } else if (field.requestIdRank > rank) {
      rank = field.requestIdRank;
      exchange.clientRequestId = value;
    }
  }
}

/** The id as the log may have it; undefined when it may not. */
export function loggedId(id: string | undefined): string | undefined {
  if (id === undefined || !SAFE.test(id)) return undefined;
  return HEX_ID.test(id) || !holdsCredential(id) ? id : undefined;
}

/** Whether an upstream's id is a part of what was injected, or has it in it. `from`: where the injected pairs begin. */
export function reflectsCredential(id: string, headers: readonly string[], from: number): boolean {
  if (id.length < SHORTEST_PART) return false;
  for (let i = from + 1; i < headers.length; i += 2) {
    const value = headers[i] ?? "";
    if (value.includes(id)) return true;
    // Past the scheme.
    const key = value.slice(value.lastIndexOf(" ") + 1);
    if (id.length > key.length && id.includes(key)) return true;
  }
  return false;
}
