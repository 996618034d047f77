// The only code that rewrites headers: pure functions over raw pairs [name, value, name, value, …]. Strips first
// (hop-by-hop, whatever Connection names, framing, our own, every credential slot), sets last.
import { isCredential, stripSubprotocols } from "./credential-slots.ts";
import { fieldName } from "./field-names.ts";

const PSEUDONYM = "x3sproxy";

export interface RewrittenRequest {
  readonly headers: string[];
  /** The scheme name of a credential that stood among the WebSocket subprotocols, if one did. */
  readonly subprotocolScheme: string | undefined;
}

/**
 * Makes the header section that goes upstream (RFC 9110, 7.6), without the credential, which is appended later. `slot`: the header for the
 * credential. `contentLength`: as our parser has checked it; undefined: none. The upstream connection sets Host.
 */
export function rewriteRequest(
  raw: readonly string[],
  {
    slot,
    httpVersion,
    contentLength,
  }: {
    readonly slot: string;
    readonly httpVersion: string;
    readonly contentLength: string | undefined;
  },
): RewrittenRequest {
  const named = connectionOptions(raw);
  const injected = fieldName(slot).comparable;
  const headers: string[] = [];
  const subprotocols: string[] = [];
  let via = "";
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? "";
    const value = raw[i + 1] ?? "";
    const field = fieldName(name);
    const { comparable } = field;
    if (field.isRequestDropped || named?.has(comparable) === true || comparable === injected) {
      continue;
    }
    if (comparable === "sec-websocket-protocol") subprotocols.push(value);
    else if (isCredential(field, value)) continue;
    else if (comparable === "via") via += value + ", ";
    else headers.push(name, value);
  }
  const { kept, scheme } = stripSubprotocols(subprotocols);
  if (kept.length > 0) headers.push("sec-websocket-protocol", kept.join(", "));
  headers.push("via", `${via}${httpVersion} ${PSEUDONYM}`);
  if (contentLength !== undefined) headers.push("content-length", contentLength);
  return { headers, subprotocolScheme: scheme };
}

/** An upstream's header section, read for the client. */
export interface ResponseSection {
  /** What goes to the client. */
  readonly headers: string[];
  /** Whether the body comes in chunks. */
  readonly isChunked: boolean;
  /** Whether it has a transfer coding that we don't decode (RFC 9112, 7). */
  readonly isCoded: boolean;
  /** Whether Content-Length is among the headers. */
  readonly hasLength: boolean;
  readonly hasDate: boolean;
  readonly hasTrailer: boolean;
  /** Whether a field may hold a URL of the upstream. */
  readonly hasUrls: boolean;
  /** The upstream's id of the request, unchecked. */
  readonly requestId: string | undefined;
}

/**
 * Reads a header or trailer section for the client; the fields are bytes (RFC 9110, 5.5). `status`: of the answer; some must not have a
 * Content-Length.
 */
export function responseSection(raw: readonly Buffer[], status?: number): ResponseSection {
  const text = textOf(raw);
  let headers: string[] = [];
  let isChunked = false;
  let isCoded = false;
  let hasLength = false;
  let hasDate = false;
  let hasTrailer = false;
  let hasUrls = false;
  let idRank = 0;
  let idAt = 0;
  let named: Set<string> | undefined;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = text[i] ?? "";
    const value = text[i + 1] ?? "";
    const field = fieldName(name);
    if (field.isFramingOrDate) {
      const { lower } = field;
      if (lower === "transfer-encoding") {
        isChunked = true;
        isCoded ||= value.trim().toLowerCase() !== "chunked";
      } else if (lower === "connection") named = connectionOptions([name, value], named);
      else if (lower === "content-length") hasLength = true;
      else if (lower === "date") hasDate = true;
      else if (lower === "trailer") hasTrailer = true;
    }
    hasUrls ||= field.urlForm !== undefined;
    if (field.requestIdRank > idRank) {
      idRank = field.requestIdRank;
      idAt = i + 1;
    }
    if (!field.isResponseDropped) headers.push(name, value);
  }
  if (named !== undefined) {
    headers = withoutFields(headers, named);
    hasLength &&= !named.has("content-length");
    hasDate &&= !named.has("date");
  }
  const hasNoBody = status !== undefined && (status < 200 || status === 204);
  if (hasLength && (isChunked || hasNoBody)) {
    // With chunks, the length must not be trusted (RFC 9112, 6.3). Without a body, there must be none (RFC 9110, 8.6).
    headers = withoutField(headers, "content-length");
    hasLength = false;
  }
  // A copy: a slice would keep the whole section in memory while the answer lasts.
  const requestId = idAt === 0 ? undefined : raw[idAt]?.toString("latin1");
  return { headers, isChunked, isCoded, hasLength, hasDate, hasTrailer, hasUrls, requestId };
}

/** Names and values as latin1 text. Mostly they are slices of one read, which is then decoded once and cut. */
function textOf(raw: readonly Buffer[]): string[] {
  const [first] = raw;
  const last = raw[raw.length - 1];
  if (first === undefined || last === undefined) return [];
  const { buffer, byteOffset: start } = first;
  const end = last.byteOffset + last.length;
  const isOneRead = raw.every(
    (part) =>
      part.buffer === buffer && part.byteOffset >= start && part.byteOffset + part.length <= end,
  );
  if (!isOneRead) return raw.map((part) => part.toString("latin1"));
  const all = Buffer.from(buffer, start, end - start).toString("latin1");
  return raw.map((part) =>
    all.slice(part.byteOffset - start, part.byteOffset - start + part.length),
  );
}

/**
 * Checks what Node's parser doesn't (RFC 9112, 2.6, 3.2, 6.1): version 1.0 or 1.1, one Host, and no transfer coding but chunked, the only
 * one that the parser decodes.
 */
export function isWellFramed(raw: readonly string[], httpVersion: string): boolean {
  let hosts = 0;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const { lower } = fieldName(raw[i] ?? "");
    if (lower === "host") hosts++;
    if (lower !== "transfer-encoding") continue;
    if (httpVersion === "1.0" || raw[i + 1]?.toLowerCase() !== "chunked") return false;
  }
  return httpVersion === "1.1" ? hosts === 1 : httpVersion === "1.0" && hosts <= 1;
}

/** The section without the fields of this comparable name. */
export function withoutField(raw: readonly string[], name: string): string[] {
  return withoutFields(raw, new Set([name]));
}

function withoutFields(raw: readonly string[], names: ReadonlySet<string>): string[] {
  return raw.filter((_, i) => !names.has(fieldName(raw[i - (i % 2)] ?? "").comparable));
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

/** The comparable names that Connection lists; undefined when it lists only `close`, `keep-alive` and `upgrade`. */
function connectionOptions(raw: readonly string[], before?: Set<string>): Set<string> | undefined {
  let options = before;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]?.length !== 10 || raw[i]?.toLowerCase() !== "connection") continue;
    for (const part of (raw[i + 1] ?? "").split(",")) {
      const { comparable, isHopByHop } = fieldName(part.trim());
      if (comparable === "" || comparable === "close" || isHopByHop) continue;
      options ??= new Set();
      options.add(comparable);
    }
  }
  return options;
}
