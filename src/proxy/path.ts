// The path of a request, in two forms: raw, as it goes upstream byte for byte, and canonical, as rules compare it.
// A path whose two forms could mean different places to different servers is refused, never repaired.

const PLAIN = /^(?:\/[a-z0-9_~!$&'()*+,=:@-][a-z0-9_.~!$&'()*+,=:@-]*)+$/;
const MALFORMED_ESCAPE = /%(?![0-9a-fA-F]{2})/;
// What no path may hold decoded: controls, and the backslash that some servers read as a slash.
const FORBIDDEN = /[\p{Cc}\\]/u;

/**
 * The form in which path rules are compared: percent-decoded once, lower-case, without path parameters (`;…`), empty
 * segments or a trailing slash. Undefined when the raw path is ambiguous: dot segments in any spelling, encoded
 * slashes or backslashes, doubly encoded ones, controls, or escapes that are not UTF-8 (RFC 3986, 2.1, 3.3, 6.2.2).
 */
export function canonicalPath(raw: string): string | undefined {
  if (PLAIN.test(raw)) return raw;
  if (MALFORMED_ESCAPE.test(raw) || raw.includes("#")) return undefined;
  let canonical = "";
  for (const segment of raw.split("/")) {
    const decoded = decodeSegment(segment);
    if (decoded === undefined) return undefined;
    const name = withoutParameters(decoded);
    if (name === "." || name === "..") return undefined;
    if (name !== "") canonical += "/" + name.toLowerCase();
  }
  return canonical === "" ? "/" : canonical;
}

function decodeSegment(segment: string): string | undefined {
  let decoded: string;
  try {
    decoded = decodeURIComponent(segment);
  } catch {
    return undefined;
  }
  if (decoded.includes("/") || FORBIDDEN.test(decoded)) return undefined;
  // What a second decoder behind the provider's front would make of it must be harmless, too.
  if (/%(?:2f|5c|2e|25|0)/i.test(decoded)) return undefined;
  return decoded;
}

function withoutParameters(segment: string): string {
  const semicolon = segment.indexOf(";");
  return semicolon < 0 ? segment : segment.slice(0, semicolon);
}
