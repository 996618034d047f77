// From the request target and the Host to the provider's name, the raw upstream path and its query.
import type { RefusalReason } from "../platform/errors.ts";
import { canonicalPath } from "./path.ts";

export interface Route {
  /** The provider's name as the client wrote it; it may not exist. Empty for our own endpoints. */
  readonly provider: string;
  /** The path that goes upstream, byte for byte, without the query. */
  readonly path: string;
  /** The form that rules compare. Undefined: the path is ambiguous; it must not be forwarded or logged. */
  readonly canonicalPath: string | undefined;
  /** The raw query without its question mark, or undefined. May hold the token: never log it. */
  readonly query: string | undefined;
}

/** A route whose path every server reads alike. */
export type CanonicalRoute = Route & { readonly canonicalPath: string };

const OWN_PREFIX = "/_x3sproxy/";
const ABSOLUTE_FORM = /^https?:\/\/([^/?#]*)/i;
// RFC 9110, 4.2.4 and 7.2: a host and an optional port, never a user.
const AUTHORITY = /^(?:[\w.-]*|\[[\da-f:.]+\])(?::\d*)?$/i;
const PROVIDER_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

/**
 * The suffix of host names that begin with a provider's name: a dot and the host of `publicUrl`, in lower case. Undefined when that is an IP
 * address.
 */
export function providerHostSuffix(publicUrl: string): string | undefined {
  const host = new URL(publicUrl).hostname;
  return host.startsWith("[") || /^[\d.]+$/.test(host) ? undefined : "." + host;
}

/**
 * Finds the route of a request target in origin or absolute form (RFC 9112, 3.2); the authority of an absolute form replaces Host. The
 * provider is named by the host if that is below the public host, else by the first path segment.
 */
export function findRoute(
  target: string,
  host: string | undefined,
  hostSuffix: string | undefined,
): Route | RefusalReason {
  let authority = host;
  let rest = target;
  if (!target.startsWith("/")) {
    const absolute = ABSOLUTE_FORM.exec(target);
    if (absolute === null) return target === "*" ? "not_found" : "bad_request";
    authority = absolute[1];
    rest = target.slice(absolute[0].length);
    if (!rest.startsWith("/")) rest = "/" + rest;
  }
  if (authority !== undefined && !AUTHORITY.test(authority)) return "bad_request";
  const question = rest.indexOf("?");
  const asked = question < 0 ? rest : rest.slice(0, question);
  const query = question < 0 ? undefined : rest.slice(question + 1);
  // A target must not have a fragment: some servers read what follows it, and others don't.
  const isPlain = !target.includes("#");
  const named = hostSuffix === undefined ? undefined : providerInHost(authority, hostSuffix);
  const path = named === undefined ? withOneSlash(asked) : asked;
  if (path.startsWith(OWN_PREFIX)) return routeTo("", path, query, isPlain);
  if (named !== undefined) {
    return PROVIDER_NAME.test(named) ? routeTo(named, path, query, isPlain) : "unknown_provider";
  }
  const provider = firstSegment(path);
  if (provider === "") return "not_found";
  if (!PROVIDER_NAME.test(provider)) return "unknown_provider";
  return routeTo(provider, path.slice(provider.length + 1) || "/", query, isPlain);
}

/** Whether it leads to an endpoint of our own. */
export function isOwn(route: Route): boolean {
  return route.provider === "";
}

/**
 * The text in the place of the provider's name, as the client wrote it, for guessing which provider is meant. Must never be shown or logged.
 */
export function namedProvider(
  target: string,
  host: string | undefined,
  hostSuffix: string | undefined,
): string {
  const absolute = ABSOLUTE_FORM.exec(target);
  const authority = absolute === null ? host : absolute[1];
  const named = hostSuffix === undefined ? undefined : providerInHost(authority, hostSuffix);
  const path = target.slice(absolute?.[0].length ?? 0).replace(/\?.*$/s, "");
  return named ?? firstSegment(withOneSlash(path));
}

function routeTo(
  provider: string,
  path: string,
  query: string | undefined,
  isPlain: boolean,
): Route {
  return {
    provider,
    path,
    canonicalPath: isPlain ? canonicalPath(path, provider) : undefined,
    query,
  };
}

/** Some clients join a base URL that ends in a slash with a path that begins with one: takes only one of the slashes. */
function withOneSlash(path: string): string {
  return path.startsWith("//") ? path.replace(/^\/+/, "/") : path;
}

/** `path`: without its query. */
function firstSegment(path: string): string {
  const end = path.indexOf("/", 1);
  return end < 0 ? path.slice(1) : path.slice(1, end);
}

function providerInHost(authority: string | undefined, suffix: string): string | undefined {
  if (authority === undefined) return undefined;
  const host = authority.toLowerCase().replace(/\.?(?::\d*)?$/, "");
  return host.endsWith(suffix) ? host.slice(0, -suffix.length) : undefined;
}
