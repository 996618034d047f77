// The ids of a request, for finding it in the logs of both sides: the client's id, its trace, and the upstream's id. Both sides can write
// anything into them, so an id that may be a credential is not logged.
import { holdsCredential } from "./context.ts";
import { echoes } from "./echoes.ts";
import type { Exchange } from "./exchange.ts";
import { fieldName } from "./field-names.ts";

// The forms of ids: a UUID (RFC 9562) or 32 hex digits, though keys may look like that; the same after a word (req_…), or after a word and a
// time; AWS's traces; and short names that clients choose. Recoded or reversed keys are longer, or have other characters.
/** In characters; a longer id is ignored. */
export const LONGEST_ID = 64;
const HEX_ID = /^(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;
const OTHER_IDS: readonly RegExp[] = [
  /^[a-z]{2,12}[_-][0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  /^[a-z]{2,12}[_-](?:[0-9]{10}-)?[0-9A-Za-z]{1,40}$/,
  /^(?:Root=)?1-[0-9a-f]{8}-[0-9a-f]{24}$/,
  /^[A-Za-z0-9_.:/-]{1,32}$/,
];

/** Notes the ids in a request's headers, unchecked: `loggedId` checks them when the record is made. */
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
      // With two, nobody can tell which one is meant.
      exchange.traceparent = ++traces === 1 ? value : undefined;
    } else if (field.requestIdRank > rank) {
      rank = field.requestIdRank;
      exchange.clientRequestId = value;
    }
  }
}

/** The id if the log may have it, else undefined. */
export function loggedId(id: string | undefined): string | undefined {
  if (id === undefined) return undefined;
  if (HEX_ID.test(id)) return id;
  return OTHER_IDS.some((shape) => shape.test(id)) && !holdsCredential(id) ? id : undefined;
}

/** Whether a text of the upstream holds a part of the injected credential. `from`: where the injected pairs begin. */
export function reflectsCredential(
  text: string,
  headers: readonly string[],
  from: number,
): boolean {
  for (let i = from + 1; i < headers.length; i += 2) {
    const value = headers[i] ?? "";
    // After the scheme.
    if (echoes(text, value.slice(value.lastIndexOf(" ") + 1))) return true;
  }
  return false;
}
