// The path of a request, in two forms: raw, as it goes upstream byte for byte, and canonical, as rules compare it.
// A path that different servers may read differently is refused, never repaired.
import { holdsAgentToken, mightBeBearer } from "../platform/ids.ts";
import { looksLikeKey, mayHoldSlashes } from "../providers/index.ts";

const LONGEST_LOGGED = 512;
const LONGEST_RECORDED = 200;
// Only a long segment can be a key.
const LONG_SEGMENT = 20;

// Already canonical, as nearly all paths are. Without dots there are no dot segments.
const PLAIN = /^(?:\/[a-z0-9_~!$&'()*+,=:@-]+)+$/;
const NOT_A_PATH = /[^\x21-\x7e]|\\|%(?![0-9a-f]{2})/i;
// In the decoded path: control characters, a backslash (a slash to some servers), and escapes for a second decoder.
const AMBIGUOUS = /[\p{Cc}\\]|%[0-9a-f]{2}/iu;
const ENCODED_SLASH = /%2f/i;
// A credential may stand between any two of these, whatever a server takes for a segment.
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

/** A raw path for the log: of bounded length, and without a key that somebody has put into it. It must have a canonical form. */
export function loggedPath(raw: string): string {
  if (!hasLongSegment(raw)) return raw.slice(0, LONGEST_LOGGED);
  const parts = raw
    .split(BETWEEN_NAMES)
    .map((part) => (looksLikeKey(decodeURIComponent(part)) ? "…" : part));
  return parts.join("").slice(0, LONGEST_LOGGED);
}

/** The canonical path if all of it may be recorded: it isn't long, and holds no credential. Else empty. */
export function recordedPath(raw: string, canonical: string): string {
  if (canonical.length > LONGEST_RECORDED) return "";
  // Only the raw form keeps a key's capitals; only the canonical one shows a key in another alphabet's letters.
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
    // Servers differ about path parameters and about empty segments.
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

/** Checks a name that holds a character which would end a path: the part before it and the whole must both be names. */
function withEnd(name: string): string | undefined {
  const end = name.search(/[?#]/);
  const before = withoutDrops(name.slice(0, end));
  const rest = withoutDrops(name.slice(end));
  if (before === undefined || rest === undefined) return undefined;
  return (before + rest.replaceAll("?", "%3f").replaceAll("#", "%23")).toLowerCase();
}

/** A name without the characters that Windows drops at its end; undefined when nothing is left. */
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
