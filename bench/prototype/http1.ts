// The prototype's parsers: a request's head, a response's head, and where a chunked body ends. They read HTTP/1.1 as RFC 9112
// writes it and know only the common case; all else is an error, never a guess. Must never be shipped as it is: README.md.
import { fieldName } from "../../src/proxy/field-names.ts";

export interface RequestHead {
  readonly method: "GET" | "POST";
  readonly target: string;
  /** Name, value, name, value, … */
  readonly raw: string[];
  readonly contentLength: number;
  /** Whether the client wants no further answer on this connection. */
  readonly closes: boolean;
}

export interface ResponseHead {
  readonly status: number;
  readonly phrase: string;
  readonly raw: string[];
  /** In bytes; undefined: it comes in chunks. */
  readonly contentLength: number | undefined;
  readonly closes: boolean;
}

export const MAX_HEAD_BYTES = 64 * 1024;

const HT = 9;
const LF = 10;
const CR = 13;
const SP = 32;
const COLON = 58;

const isToken = tableOf(/[!#$%&'*+\-.^_`|~0-9A-Za-z]/);
const isInTarget = tableOf(/[\x21-\x7e]/);
const isInValue = tableOf(/[\t\x20-\x7e\x80-\xff]/);
const NOT_A_FIELD_LINE = /[^\t\x20-\x7e\x80-\xff]/;
const DIGITS = /^\d{1,15}$/;
const VERSION = " HTTP/1.1\r\n";

/** A table of the 256 byte values: 1 for those that a pattern matches. */
function tableOf(pattern: RegExp): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) =>
    pattern.test(String.fromCharCode(byte)) ? 1 : 0,
  );
}

/** Reads a request's head. `text`: latin1, up to and with the first empty line. */
export function parseRequestHead(text: string): RequestHead | "bad_request" | "not_covered" {
  const method = text.startsWith("POST ") ? "POST" : text.startsWith("GET ") ? "GET" : undefined;
  if (method === undefined) return "not_covered";
  const targetAt = method.length + 1;
  let at = targetAt;
  while (isInTarget[text.charCodeAt(at)] === 1) at++;
  if (at === targetAt || !text.startsWith(VERSION, at)) return "bad_request";
  const target = text.slice(targetAt, at);
  const raw: string[] = [];
  if (!readFields(text, at + VERSION.length, raw)) return "bad_request";
  let length: number | undefined;
  let closes = false;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const value = raw[i + 1] ?? "";
    switch (fieldName(raw[i] ?? "").lower) {
      case "content-length":
        if (length !== undefined || !DIGITS.test(value)) return "bad_request";
        length = Number(value);
        break;
      case "connection":
        closes ||= namesClose(value);
        break;
      case "transfer-encoding":
      case "expect":
      case "upgrade":
        return "not_covered";
    }
  }
  return { method, target, raw, contentLength: length ?? 0, closes };
}

/** Reads a final response's head; undefined when it is malformed, or not of the common case. */
export function parseResponseHead(text: string): ResponseHead | undefined {
  if (!text.startsWith("HTTP/1.1 ") || text.charCodeAt(12) !== SP) return undefined;
  const digits = text.slice(9, 12);
  const status = DIGITS.test(digits) ? Number(digits) : 0;
  if (status < 200 || status > 599) return undefined; // interim answers are not covered
  let at = 13;
  while (isInValue[text.charCodeAt(at)] === 1) at++;
  if (text.charCodeAt(at) !== CR || text.charCodeAt(at + 1) !== LF) return undefined;
  const phrase = text.slice(13, at);
  const raw: string[] = [];
  if (!readFields(text, at + 2, raw)) return undefined;
  let length: number | undefined;
  let isChunked = false;
  let closes = false;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const value = raw[i + 1] ?? "";
    switch (fieldName(raw[i] ?? "").lower) {
      case "content-length":
        if (length !== undefined || !DIGITS.test(value)) return undefined;
        length = Number(value);
        break;
      case "transfer-encoding":
        if (isChunked || value.toLowerCase() !== "chunked") return undefined;
        isChunked = true;
        break;
      case "connection":
        closes ||= namesClose(value);
        break;
    }
  }
  if (status === 204 || status === 304) {
    return isChunked ? undefined : { status, phrase, raw, contentLength: 0, closes };
  }
  // Both would be a contradiction, neither a body that ends with the connection.
  if (isChunked === (length !== undefined)) return undefined;
  return { status, phrase, raw, contentLength: length, closes };
}

/** Reads field lines up to the empty line that ends `text`, in one pass; false when one is malformed. */
function readFields(text: string, from: number, raw: string[]): boolean {
  const end = text.length - 2;
  let at = from;
  while (at < end) {
    const nameAt = at;
    while (isToken[text.charCodeAt(at)] === 1) at++;
    // A line that begins with a space (obs-fold) has no name, either.
    if (at === nameAt || text.charCodeAt(at) !== COLON) return false;
    const name = nameOf(text.slice(nameAt, at));
    let code = text.charCodeAt(++at);
    while (code === SP || code === HT) code = text.charCodeAt(++at);
    const valueAt = at;
    let valueEnd = at;
    while (isInValue[code] === 1) {
      at++;
      if (code !== SP && code !== HT) valueEnd = at;
      code = text.charCodeAt(at);
    }
    if (code !== CR || text.charCodeAt(at + 1) !== LF) return false;
    raw.push(name, text.slice(valueAt, valueEnd));
    at += 2;
  }
  return at === end;
}

// A slice keeps the whole head alive, the token in it, too, wherever it is remembered; and names are remembered. So each name is
// copied once.
const MAX_NAMES = 1000;
const names = new Map<string, string>();

function nameOf(slice: string): string {
  const known = names.get(slice);
  if (known !== undefined) return known;
  const copy = Buffer.from(slice, "latin1").toString("latin1");
  if (names.size >= MAX_NAMES) names.clear();
  names.set(copy, copy);
  return copy;
}

function namesClose(connection: string): boolean {
  return connection.split(",").some((option) => option.trim().toLowerCase() === "close");
}

/** Field lines of pairs. Throws when one holds what can't be sent. */
export function fieldLines(headers: readonly string[]): string {
  let text = "";
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const line = `${headers[i] ?? ""}: ${headers[i + 1] ?? ""}`;
    if (NOT_A_FIELD_LINE.test(line)) throw new Error("a header section that can't be sent");
    text += line + "\r\n";
  }
  return text;
}

const SIZE_BEGINS = 0;
const SIZE = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const LAST_CR = 6;
const LAST_LF = 7;
const ENDED = 8;
const BROKEN = 9;
const MAX_SIZE_DIGITS = 8;

/** Finds the end of a chunked body (RFC 9112, 7.1) while its bytes go by. Knows neither extensions nor trailers. */
export class ChunkWalk {
  #state = SIZE_BEGINS;
  #left = 0;
  #digits = 0;
  /** Bytes of data within the framing so far. */
  dataBytes = 0;

  get ended(): boolean {
    return this.#state === ENDED;
  }

  get broken(): boolean {
    return this.#state === BROKEN;
  }

  begin(): void {
    this.#state = SIZE_BEGINS;
    this.dataBytes = 0;
  }

  /** Walks over bytes; gives where the body ended or the framing broke, else `to`. */
  walk(bytes: Uint8Array, from: number, to: number): number {
    let at = from;
    while (at < to) {
      if (this.#state === DATA) {
        const step = Math.min(this.#left, to - at);
        at += step;
        this.#left -= step;
        this.dataBytes += step;
        if (this.#left === 0) this.#state = DATA_CR;
        continue;
      }
      this.#state = this.#after(bytes[at] ?? 0);
      if (this.#state === BROKEN) return at;
      at++;
      if (this.#state === ENDED) return at;
    }
    return at;
  }

  /** The state after a byte of the framing. */
  #after(byte: number): number {
    switch (this.#state) {
      case SIZE_BEGINS:
        this.#left = 0;
        this.#digits = 0;
        return this.#sizeDigit(byte);
      case SIZE:
        return byte === CR ? SIZE_LF : this.#sizeDigit(byte);
      case SIZE_LF:
        if (byte !== LF) return BROKEN;
        return this.#left === 0 ? LAST_CR : DATA;
      case DATA_CR:
        return byte === CR ? DATA_LF : BROKEN;
      case DATA_LF:
        return byte === LF ? SIZE_BEGINS : BROKEN;
      case LAST_CR:
        return byte === CR ? LAST_LF : BROKEN;
      case LAST_LF:
        return byte === LF ? ENDED : BROKEN;
      default:
        return BROKEN;
    }
  }

  #sizeDigit(byte: number): number {
    const lower = byte | 0x20;
    let digit = -1;
    if (byte >= 48 && byte <= 57) digit = byte - 48;
    else if (lower >= 97 && lower <= 102) digit = lower - 87;
    if (digit < 0 || ++this.#digits > MAX_SIZE_DIGITS) return BROKEN;
    this.#left = this.#left * 16 + digit;
    return SIZE;
  }
}
