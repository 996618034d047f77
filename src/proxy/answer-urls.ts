// The upstream's own URLs in an answer's header section, written anew so that they lead through the proxy: whoever follows one as it
// came goes past it, or to a path that nobody serves. Those of other hosts stay as they are. Never puts a credential into one.
import { stripQuery } from "./credential-slots.ts";
import { fieldName, type UrlForm } from "./field-names.ts";

/** Where a call went, and where the client finds the same. */
export interface Places {
  /** Normalised, of the upstream. */
  readonly origin: string;
  /** Path and query of the request that was answered: what relative URLs are relative to (RFC 3986, 5.1.3). */
  readonly target: string;
  /** The origin's URL for the client, without a slash at its end. */
  readonly base: string;
  /** Whether a URL shows the credential that was sent. */
  readonly reflectsKey: (url: string) => boolean;
}

// An answer has one or a few. Each costs a microsecond or two.
const MAX_URLS = 100;
const ABSOLUTE = /^(?:[a-z][a-z\d+.-]*:|[/\\]{2})/i;
/** A quoted string, perhaps without its end, or a target in angle brackets (RFC 8288, 3). */
const LINK_PARTS = /"(?:[^"\\]|\\.)*"?|<([^<>]*)>/g;
const REFRESH = /^([^;,]*[;,]\s*(?:url\s*=\s*)?["']?)([^"']*)(.*)$/i;

/**
 * The client's base URL for a provider: below the public URL, or the public host's name below which it was called. `requested` is the
 * request's target, `path` what of it went up.
 */
export function clientBase(
  publicUrl: string,
  provider: string,
  requested: string,
  path: string,
): string {
  const whole = requested.replace(/^https?:\/\/[^/?#]*/i, "").replace(/\?.*$/s, "");
  if ((whole === "" ? "/" : whole) !== path) return `${publicUrl}/${provider}`;
  const { protocol, host } = new URL(publicUrl);
  return `${protocol}//${provider}.${host}`;
}

/** The header section with its URLs as the client can call them. A field is left out that would show a credential, or has too many. */
export function withClientUrls(headers: readonly string[], places: Places): string[] {
  const prefix = new URL(places.base).pathname.replace(/\/$/, "");
  const rewritten: string[] = [];
  let left = MAX_URLS;
  let unfit = 0;
  const rewrite = (text: string): string => {
    const url = left-- > 0 ? clientUrl(text, prefix, places) : undefined;
    if (url === undefined) unfit++;
    return url ?? "";
  };
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? "";
    const value = headers[i + 1] ?? "";
    const form = fieldName(name).urlForm;
    const before = unfit;
    const now = form === undefined ? value : FORMS[form](value, rewrite);
    if (unfit === before) rewritten.push(name, now);
  }
  return rewritten;
}

const FORMS: Readonly<
  Record<UrlForm, (value: string, rewrite: (url: string) => string) => string>
> = {
  url: (value, rewrite) => rewrite(value),
  link: (value, rewrite) =>
    value.replace(LINK_PARTS, (part, target: string | undefined) =>
      target === undefined ? part : `<${rewrite(target)}>`,
    ),
  refresh: (value, rewrite) =>
    value.replace(
      REFRESH,
      (_, before: string, url: string, after: string) => before + rewrite(url) + after,
    ),
};

/** One URL for the client; undefined when it may not be passed on. */
function clientUrl(text: string, prefix: string, places: Places): string | undefined {
  const { origin, target, base } = places;
  // Bytes beyond ASCII have no place in a URL; the parser would take them for characters of another encoding.
  const ascii = text
    .trim()
    .replace(/[\x80-\xff]/g, (byte) => "%" + byte.charCodeAt(0).toString(16).toUpperCase());
  const url = URL.parse(ascii, origin + target);
  if (url === null || `${url.protocol}//${url.host}` !== origin) return text;
  const query = stripQuery(url.search === "" ? undefined : url.search.slice(1));
  const rest = url.pathname + (query === undefined ? "" : `?${query}`) + url.hash;
  // Where the client has no prefix, a path that begins with two slashes would be another host.
  const isAbsolute = ABSOLUTE.test(ascii) || (prefix + rest).startsWith("//");
  const found = (isAbsolute ? base : prefix) + rest;
  return places.reflectsKey(found) ? undefined : found;
}
