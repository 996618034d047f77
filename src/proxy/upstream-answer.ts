// Pure functions about an upstream's answer, or about a failure to get one. Never quotes an error's message.
import { STATUS_CODES } from "node:http";
import type { RefusalReason } from "../platform/errors.ts";
import { codeOf } from "../platform/unknown-values.ts";

/** The header section of an interim response, or of another answer without a body. */
export function rawHead(status: number, headers: readonly string[]): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n`;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    head += `${headers[i] ?? ""}: ${headers[i + 1] ?? ""}\r\n`;
  }
  return head + "\r\n";
}

/** Whether an answer has a body, be it an empty one (RFC 9112, 6.3). */
export function hasBody(method: string, status: number): boolean {
  return method !== "HEAD" && status !== 204 && status !== 304;
}

/** The reason phrase as it came, if it can be passed on. */
export function statusPhrase(text: string | undefined): string {
  return text !== undefined && /^[\t\x20-\x7e\x80-\xff]*$/.test(text) ? text : "";
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
