// The path of a request, in two forms: raw, as it goes upstream byte for byte, and canonical, as rules compare it.
// A path whose two forms could mean different places to different servers is refused, never repaired.
import { holdsAgentToken, mightBeBearer } from "../ids.ts";
import { looksLikeKey, mayHoldSlashes } from "../providers/index.ts";

const LONGEST_LOGGED = 512;
const LONGEST_RECORDED = 200;
// Only a long segment can be a key.
const LONG_SEGMENT = 20;

// Canonical already, as nearly all are. Without dots there are no dot segments.
const PLAIN = /^(?:\/[a-z0-9_~!$&'()*+,=:@-]+)+$/;
const NOT_A_PATH = /[^\x21-\x7e]|\\|%(?![0-9a-f]{2})/i;
// Decoded: controls, a backslash, which some servers read as a slash, and what a second decoder would decode again.
const AMBIGUOUS = /[\p{Cc}\\]|%[0-9a-f]{2}/iu;
const ENCODED_SLASH = /%2f/i;
// Between them stands what might be a credential, whatever a server takes for a segment.
const BETWEEN_NAMES = /(\/|%2f|%3f|%23)/i;

/**
 * The form in which path rules are compared: percent-decoded once, Unicode's look-alikes folded (NFKC), lower-case, without
 * path parameters (`;…`), empty segments, a trailing slash, or the dots and spaces at a segment's end that Windows drops.
 * An encoded slash, question mark or number sign stays as `%2f`, `%3f` or `%23`: see `pathReadings`.
 * Undefined when the raw path is ambiguous: dot segments in any spelling, encoded slashes where no name of `provider` has one,
 * encoded backslashes, double encodings, controls, escapes that are not UTF-8 (RFC 3986, 2.1, 3.3, 6.2.2); and when it holds a proxy
 * or registration token.
 */
export function canonicalPath(raw: string, provider: string): string | undefined {
  if (holdsAgentToken(raw)) return undefined;
  if (PLAIN.test(raw)) return raw;
  if (NOT_A_PATH.test(raw)) return undefined;
  let canonical = "";
  for (const segment of raw.split("/")) {
    const name = canonicalSegment(segment);
    if (name === undefined) return undefined;
    if (name !== "") canonical += "/" + name;
  }
  if (canonical.includes("%2f") && !mayHoldSlashes(provider, canonical)) return undefined;
  return canonical === "" ? "/" : canonical;
}

/** A raw path as the log may have it: not endless, and without a key that somebody has put into it. It must have a canonical form. */
export function loggedPath(raw: string): string {
  if (!hasLongSegment(raw)) return raw.slice(0, LONGEST_LOGGED);
  const parts = raw
    .split(BETWEEN_NAMES)
    .map((part) => (looksLikeKey(decodeURIComponent(part)) ? "…" : part));
  return parts.join("").slice(0, LONGEST_LOGGED);
}

/** The canonical path when all of it may be recorded: not a long one, nor one with a credential in it; else empty. */
export function recordedPath(raw: string, canonical: string): string {
  if (canonical.length > LONGEST_RECORDED) return "";
  // Keys have capitals, which only the raw form keeps; what is written in another alphabet shows only in the canonical one.
  if (
    hasLongSegment(raw) &&
    raw.split(BETWEEN_NAMES).some((each) => isCredential(decodeURIComponent(each)))
  )
    return "";
  if (hasLongSegment(canonical) && canonical.split(BETWEEN_NAMES).some(isCredential)) return "";
  return canonical;
}

function hasLongSegment(path: string): boolean {
  let start = 0;
  for (let end = 0; end >= 0; start = end + 1) {
    end = path.indexOf("/", start);
    if ((end < 0 ? path.length : end) - start >= LONG_SEGMENT) return true;
  }
  return false;
}

function isCredential(segment: string): boolean {
  return looksLikeKey(segment) || mightBeBearer(segment);
}

function canonicalSegment(segment: string): string | undefined {
  if (!ENCODED_SLASH.test(segment)) return canonicalName(segment);
  const names: string[] = [];
  for (const part of segment.split(ENCODED_SLASH)) {
    const name = canonicalName(part);
    // Of parameters and of nothing between two slashes, servers leave different things.
    if (name === undefined || name === "" || decode(part)?.includes(";") === true) return undefined;
    names.push(name);
  }
  return names.join("%2f");
}

function canonicalName(part: string): string | undefined {
  const decoded = decode(part);
  if (decoded === undefined) return undefined;
  if (AMBIGUOUS.test(decoded) || decoded.includes("/") || holdsAgentToken(decoded))
    return undefined;
  const semicolon = decoded.indexOf(";");
  const name = semicolon < 0 ? decoded : decoded.slice(0, semicolon);
  if (/[?#]/.test(name)) return withEnd(name);
  return withoutDrops(name)?.toLowerCase();
}

/** Of a name with what would end a path in it: both what stands before that and the whole have to be names. */
function withEnd(name: string): string | undefined {
  const end = name.search(/[?#]/);
  const before = withoutDrops(name.slice(0, end));
  const rest = withoutDrops(name.slice(end));
  if (before === undefined || rest === undefined) return undefined;
  return (before + rest.replaceAll("?", "%3f").replaceAll("#", "%23")).toLowerCase();
}

/** Without what Windows drops at a name's end; undefined when that is all of it. */
function withoutDrops(name: string): string | undefined {
  let end = name.length;
  while (end > 0 && (name[end - 1] === "." || name[end - 1] === " ")) end--;
  return end === 0 && name !== "" ? undefined : name.slice(0, end);
}

function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part).normalize("NFKC");
  } catch {
    return undefined;
  }
}
