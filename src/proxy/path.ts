// The path of a request, in two forms: raw, as it goes upstream byte for byte, and canonical, as rules compare it.
// A path whose two forms could mean different places to different servers is refused, never repaired.
import { holdsAgentToken, mightBeBearer } from "../ids.ts";
import { looksLikeKey } from "../providers/index.ts";

const LONGEST_LOGGED = 512;
const LONGEST_RECORDED = 200;
// Only a long segment can be a key.
const LONG_SEGMENT = /[^/]{20}/;

// Canonical already, as nearly all are. Without dots there are no dot segments.
const PLAIN = /^(?:\/[a-z0-9_~!$&'()*+,=:@-]+)+$/;
const NOT_A_PATH = /[^\x21-\x7e]|\\|%(?![0-9a-f]{2})/i;
// Decoded: controls, a backslash, which some servers read as a slash, and what a second decoder would decode again.
const AMBIGUOUS = /[\p{Cc}\\]|%[0-9a-f]{2}/iu;
// AWS's resource names hold a slash, which its SDKs encode. How they begin keeps them from standing for anything else.
const RESOURCE_NAME = /^arn:[\w:-]+(?:\/[\w:-][\w:.-]*)+$/i;

/**
 * The form in which path rules are compared: percent-decoded once, Unicode's look-alikes folded (NFKC), lower-case, without
 * path parameters (`;…`), empty segments, a trailing slash, or the dots and spaces at a segment's end that Windows drops.
 * Undefined when the raw path is ambiguous: dot segments in any spelling, encoded slashes or backslashes, double encodings,
 * controls, escapes that are not UTF-8 (RFC 3986, 2.1, 3.3, 6.2.2); and when it holds a proxy or registration token.
 */
export function canonicalPath(raw: string): string | undefined {
  if (holdsAgentToken(raw)) return undefined;
  if (PLAIN.test(raw)) return raw;
  if (NOT_A_PATH.test(raw)) return undefined;
  let canonical = "";
  for (const segment of raw.split("/")) {
    const name = canonicalSegment(segment);
    if (name === undefined) return undefined;
    if (name !== "") canonical += "/" + name;
  }
  return canonical === "" ? "/" : canonical;
}

/** A raw path as the log may have it: not endless, and without a key that somebody has put into it. It must have a canonical form. */
export function loggedPath(raw: string): string {
  if (!LONG_SEGMENT.test(raw)) return raw.slice(0, LONGEST_LOGGED);
  const segments = raw
    .split("/")
    .map((segment) => (looksLikeKey(decodeURIComponent(segment)) ? "…" : segment));
  return segments.join("/").slice(0, LONGEST_LOGGED);
}

/** The canonical path when all of it may be recorded: not a long one, nor one with a credential in it; else empty. */
export function recordedPath(raw: string, canonical: string): string {
  if (canonical.length > LONGEST_RECORDED) return "";
  // Keys have capitals, which only the raw form keeps; what is written in another alphabet shows only in the canonical one.
  if (
    LONG_SEGMENT.test(raw) &&
    raw.split("/").some((each) => isCredential(decodeURIComponent(each)))
  )
    return "";
  if (LONG_SEGMENT.test(canonical) && canonical.split("/").some(isCredential)) return "";
  return canonical;
}

function isCredential(segment: string): boolean {
  return looksLikeKey(segment) || mightBeBearer(segment);
}

function canonicalSegment(segment: string): string | undefined {
  let decoded: string;
  try {
    decoded = decodeURIComponent(segment).normalize("NFKC");
  } catch {
    return undefined;
  }
  if (AMBIGUOUS.test(decoded) || holdsAgentToken(decoded)) return undefined;
  if (decoded.includes("/") && !RESOURCE_NAME.test(decoded)) return undefined;
  const semicolon = decoded.indexOf(";");
  const name = semicolon < 0 ? decoded : decoded.slice(0, semicolon);
  let end = name.length;
  while (end > 0 && (name[end - 1] === "." || name[end - 1] === " ")) end--;
  return end === 0 && name !== "" ? undefined : name.slice(0, end).toLowerCase();
}
