// The only code that rewrites headers: pure functions over raw pairs [name, value, name, value, …]. Strips first
// (hop-by-hop, whatever Connection names, framing, our own, every credential slot), sets last.
import type { Injection } from "../vault/index.ts";
import { comparableName, isCredentialHeader, stripSubprotocols } from "./credential-slots.ts";

/** Never forwarded in either direction (RFC 9110, 7.6.1, with the fields that proxies have learned to distrust). */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

/** Set anew for the upstream connection, or meant for us alone. Request trailers are not forwarded, so neither is their list. */
const REQUEST_DROPPED: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "expect",
  "trailer",
  "forwarded",
  "x-real-ip",
  // Rules judge the host, method and path that stand in the request's head, so none of these may say otherwise.
  "x-host",
  "x-http-host-override",
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
  "x-original-host",
  "x-original-uri",
  "x-original-url",
  "x-rewrite-url",
]);

/** State and routing of the upstream's own host, which would be wrong or harmful at ours. */
const RESPONSE_DROPPED: ReadonlySet<string> = new Set(["set-cookie", "set-cookie2", "alt-svc"]);

const OWN_PREFIX = "x3sproxy-";
const FORWARDED_PREFIX = "x-forwarded";
const PSEUDONYM = "x3sproxy";

export interface RequestHeaders {
  readonly headers: string[];
  /** The scheme name of a credential that stood among the WebSocket subprotocols, if one did. */
  readonly subprotocolScheme: string | undefined;
}

/**
 * The header section that goes upstream (RFC 9110, 7.6). `contentLength` is the one that our parser has checked, or undefined.
 * Host is left to the upstream connection. Throws SealError when the secret does not open.
 */
export function requestHeaders(
  raw: readonly string[],
  injection: Injection,
  httpVersion: string,
  contentLength: string | undefined,
): RequestHeaders {
  const named = connectionOptions(raw);
  const injected = injection.names.map(comparableName);
  const headers: string[] = [];
  const subprotocols: string[] = [];
  let via = "";
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? "";
    const value = raw[i + 1] ?? "";
    const comparable = comparableName(name);
    if (
      HOP_BY_HOP.has(comparable) ||
      REQUEST_DROPPED.has(comparable) ||
      named?.has(comparable) === true ||
      comparable.includes(OWN_PREFIX) ||
      comparable.startsWith(FORWARDED_PREFIX) ||
      injected.includes(comparable)
    ) {
      continue;
    }
    if (comparable === "sec-websocket-protocol") subprotocols.push(value);
    else if (isCredentialHeader(comparable, value)) continue;
    else if (comparable === "via") via += value + ", ";
    else headers.push(name, value);
  }
  const { kept, scheme } = stripSubprotocols(subprotocols);
  if (kept.length > 0) headers.push("sec-websocket-protocol", kept.join(", "));
  headers.push("via", `${via}${httpVersion} ${PSEUDONYM}`);
  if (contentLength !== undefined) headers.push("content-length", contentLength);
  injection.applyTo(headers);
  return { headers, subprotocolScheme: scheme };
}

/** Raw header bytes as they came, as pairs of latin1 strings (RFC 9110, 5.5). */
export function textPairs(raw: readonly Buffer[]): string[] {
  return raw.map((bytes) => bytes.toString("latin1"));
}

/** The header (or trailer) section that goes to the client. */
export function responseHeaders(raw: readonly string[]): string[] {
  const named = connectionOptions(raw);
  // With both, the length is not to be trusted (RFC 9112, 6.3); our own parser has read the chunks.
  const chunked = hasHeader(raw, "transfer-encoding");
  const headers: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? "";
    const comparable = comparableName(name);
    if (
      HOP_BY_HOP.has(comparable) ||
      RESPONSE_DROPPED.has(comparable) ||
      named?.has(comparable) === true ||
      comparable.startsWith(OWN_PREFIX) ||
      (chunked && comparable === "content-length")
    ) {
      continue;
    }
    headers.push(name, raw[i + 1] ?? "");
  }
  return headers;
}

/**
 * Whether a request keeps to what Node's parser does not ask of it (RFC 9112, 2.6, 3.2, 6.1): version 1.0 or 1.1, one Host, and of
 * the transfer codings only chunked, which is all that the parser undoes.
 */
export function isWellFramed(raw: readonly string[], httpVersion: string): boolean {
  let hosts = 0;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]?.toLowerCase();
    if (name === "host") hosts++;
    if (name !== "transfer-encoding") continue;
    if (httpVersion === "1.0" || raw[i + 1]?.toLowerCase() !== "chunked") return false;
  }
  return httpVersion === "1.1" ? hosts === 1 : httpVersion === "1.0" && hosts <= 1;
}

/** The section without the fields of a lower-case name. */
export function withoutField(raw: readonly string[], name: string): string[] {
  return raw.filter((_, i) => raw[i - (i % 2)]?.toLowerCase() !== name);
}

/** Whether a raw header section has a field, by lower-case name. */
export function hasHeader(raw: readonly string[], name: string): boolean {
  return fieldValue(raw, name) !== undefined;
}

/** The first value of a field, by lower-case name. */
export function fieldValue(raw: readonly string[], name: string): string | undefined {
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]?.length === name.length && raw[i]?.toLowerCase() === name) return raw[i + 1];
  }
  return undefined;
}

/** The comparable names of the fields that Connection lists; undefined when it lists none but `close`, `keep-alive` and `upgrade`. */
function connectionOptions(raw: readonly string[]): Set<string> | undefined {
  let options: Set<string> | undefined;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]?.length !== 10 || raw[i]?.toLowerCase() !== "connection") continue;
    for (const part of (raw[i + 1] ?? "").split(",")) {
      const option = comparableName(part.trim());
      if (option === "" || option === "close" || HOP_BY_HOP.has(option)) continue;
      options ??= new Set();
      options.add(option);
    }
  }
  return options;
}
