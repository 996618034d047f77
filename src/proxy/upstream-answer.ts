// What there is to tell of an upstream's answer, and of there being none: pure functions. Never quotes what an error says.
import { STATUS_CODES } from "node:http";
import type { RefusalReason } from "../errors.ts";
import { fieldValue, hasHeader } from "./headers.ts";

/** An interim answer's header section, or that of any other answer without a body. */
export function rawHead(status: number, headers: readonly string[]): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n`;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    head += `${headers[i] ?? ""}: ${headers[i + 1] ?? ""}\r\n`;
  }
  return head + "\r\n";
}

/** Whether the answer says itself where it ends (RFC 9112, 6.3). */
export function isFramed(raw: readonly string[], method: string, status: number): boolean {
  return !hasBody(method, status) || hasHeader(raw, "content-length") || isChunked(raw);
}

/** Whether the answer can end in trailers when it is passed on (RFC 9112, 7.1.2). */
export function canHaveTrailers(raw: readonly string[], method: string, status: number): boolean {
  return hasBody(method, status) && isChunked(raw);
}

function hasBody(method: string, status: number): boolean {
  return method !== "HEAD" && status !== 204 && status !== 304;
}

function isChunked(raw: readonly string[]): boolean {
  return hasHeader(raw, "transfer-encoding");
}

/** Whether the body comes in a transfer coding that nobody here takes off again (RFC 9112, 7). */
export function isCoded(raw: readonly string[]): boolean {
  const coding = fieldValue(raw, "transfer-encoding");
  return coding !== undefined && coding.trim().toLowerCase() !== "chunked";
}

/** The reason phrase as it came, if it can be passed on. */
export function statusPhrase(text: string | undefined): string {
  return text !== undefined && /^[\t\x20-\x7e\x80-\xff]*$/.test(text) ? text : "";
}

/** The system's or the library's code for an error. */
export function codeOf(error: Error): string | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : undefined;
}

/** Why there is no answer to pass on. `heard`: whether any byte of one has come. */
export function reasonOf(error: Error, heard: boolean): RefusalReason {
  switch (codeOf(error) ?? "") {
    case "X3SPROXY_ADDRESS_REFUSED":
      return "upstream_address_refused";
    case "UND_ERR_CONNECT_TIMEOUT":
      return "upstream_connect_timeout";
    case "UND_ERR_INVALID_ARG":
      return "bad_request"; // the client library does not send such a request
    default:
      return heard || error.name === "HTTPParserError"
        ? "upstream_protocol_error"
        : "upstream_unreachable";
  }
}

/** A flat list as name and value pairs. */
export function pairs(flat: readonly string[]): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) list.push([flat[i] ?? "", flat[i + 1] ?? ""]);
  return list;
}
