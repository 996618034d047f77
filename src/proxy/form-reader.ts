// Finds the one model that a multipart/form-data body (RFC 7578, RFC 2046) names, while it streams by in pieces of any size. Accepts only
// the form that clients send; where parsers are known to differ, the model is unclear. Keeps part headers, the model's value, and the end of
// a piece where a delimiter may have begun.
import type { RefusalReason } from "../platform/errors.ts";
import { foldName } from "../providers/index.ts";
import { LONGEST_MODEL, type BodyReader, type Sought } from "./model-judge.ts";

const MAX_HEADER_BYTES = 4096;
const CRLF = "\r\n";
const EPILOGUE = CRLF + CRLF;
const HEADERS_END = Buffer.from("\r\n\r\n");

// As browsers, SDKs and HTTP libraries write it: in quotes without a backslash, since parsers differ about escapes; or as a plain word, as
// .NET does. No extended name (RFC 5987).
const PARAMETER =
  /^; ?(name|filename|filename\*)=(?:"([^"\\]*)"|([\w.%~!$&+^`|#-]+'[\w-]*'[\w.%~!$&+^`|#-]+|[\w.~+-]+))/i;
const LENGTH = /^\d{1,15}$/;
const FIELD_NAME = /^[\w.[\]-]+$/;
// In each of these charsets a plain name has the same bytes.
const PLAIN_TEXT = /^text\/plain(?:; ?charset="?(?:utf-8|us-ascii|iso-8859-1)"?)?$/i;
const IDENTITY = /^(?:7bit|8bit|binary)$/i;

type State = "begin" | "headers" | "data" | "delimiter" | "end";

export class FormReader implements BodyReader {
  readonly #sought: Sought;
  readonly #delimiter: Buffer;
  #state: State = "begin";
  /** Bytes that can't be read before more have come. */
  #rest: Buffer = Buffer.alloc(0);
  /** The value of the model's part; undefined within any other part. */
  #model: string | undefined;
  #found = false;
  /** Bytes of the part's data that its Content-Length announced and that are still to come; undefined: it has none. */
  #partBytes = 0;
  #announced: number | undefined;
  #refusal: RefusalReason | undefined;

  /** `boundary`: of the Content-Type, plain ASCII. */
  constructor(sought: Sought, boundary: string) {
    this.#sought = sought;
    this.#delimiter = Buffer.from(`--${boundary}`, "latin1");
  }

  take(piece: Buffer): RefusalReason | undefined {
    if (this.#refusal !== undefined) return this.#refusal;
    let rest = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    for (;;) {
      const used = this.#step(rest);
      if (typeof used === "string") return (this.#refusal = used);
      if (used === 0) break;
      rest = rest.subarray(used);
    }
    this.#rest = Buffer.from(rest);
    return undefined;
  }

  end(): RefusalReason | undefined {
    const isWhole = this.#state === "end" && this.#rest.length % CRLF.length === 0;
    if (!isWhole || (!this.#found && this.#sought.isRequired)) this.#refusal ??= "model_unclear";
    return this.#refusal;
  }

  /** Reads on; returns how many bytes it has used, 0: it needs more. */
  #step(bytes: Buffer): number | RefusalReason {
    switch (this.#state) {
      case "begin": {
        const { length } = this.#delimiter;
        const begins = bytes.subarray(0, length).equals(this.#delimiter.subarray(0, bytes.length));
        if (!begins) return "model_unclear";
        if (bytes.length < length) return 0;
        this.#state = "delimiter";
        return length;
      }
      case "delimiter": {
        if (bytes.length < 2) return 0;
        const text = bytes.toString("latin1", 0, 2);
        if (text !== CRLF && text !== "--") return "model_unclear";
        this.#state = text === CRLF ? "headers" : "end";
        return 2;
      }
      case "headers":
        return this.#headers(bytes);
      case "data":
        return this.#data(bytes);
      case "end":
        // Only the end of the line may follow, or two of them, as Ruby writes.
        return EPILOGUE.startsWith(bytes.toString("latin1")) ? 0 : "model_unclear";
    }
  }

  #headers(bytes: Buffer): number | RefusalReason {
    const end = bytes.subarray(0, MAX_HEADER_BYTES).indexOf(HEADERS_END);
    if (end < 0) return bytes.length < MAX_HEADER_BYTES ? 0 : "model_unclear";
    const fields = readFields(bytes.toString("latin1", 0, end));
    const part = fields && partOf(fields);
    const refusal = part === undefined ? "model_unclear" : this.#partBegins(part);
    if (refusal !== undefined) return refusal;
    this.#state = "data";
    return end + HEADERS_END.length;
  }

  #partBegins({ name, isFile, type, length }: Part): RefusalReason | undefined {
    this.#announced = length;
    this.#partBytes = 0;
    const folded = foldName(name.replace(/\[.*/s, ""));
    // It would change how the other parts are read (RFC 7578, 4.6).
    if (folded === "charset") return "model_unclear";
    const member = this.#sought.body.members.get(folded);
    if (member === undefined) return undefined;
    if (member.kind !== "only" || name !== member.name) return "model_unclear";
    if (this.#found || isFile || !PLAIN_TEXT.test(type)) return "model_unclear";
    this.#found = true;
    this.#model = "";
    return undefined;
  }

  #data(bytes: Buffer): number | RefusalReason {
    const at = bytes.indexOf(this.#delimiter);
    if (at < 0) {
      // A delimiter, with the line end before it, may begin in the rest.
      const done = bytes.length - this.#delimiter.length - CRLF.length + 1;
      if (done <= 0) return 0;
      return this.#keep(bytes, done) ?? done;
    }
    // Some parsers accept a delimiter without the line end before it.
    if (at < 2 || bytes.toString("latin1", at - 2, at) !== CRLF) return "model_unclear";
    const refusal = this.#keep(bytes, at - 2) ?? this.#partEnded();
    if (refusal !== undefined) return refusal;
    this.#state = "delimiter";
    return at + this.#delimiter.length;
  }

  #keep(bytes: Buffer, end: number): RefusalReason | undefined {
    this.#partBytes += end;
    if (this.#model === undefined) return undefined;
    if (this.#model.length + end > LONGEST_MODEL) return "model_unclear";
    this.#model += bytes.toString("latin1", 0, end);
    return undefined;
  }

  #partEnded(): RefusalReason | undefined {
    // A parser that goes by the length instead of the delimiter would see other parts.
    if (this.#announced !== undefined && this.#announced !== this.#partBytes) {
      return "model_unclear";
    }
    const model = this.#model;
    this.#model = undefined;
    return model === undefined ? undefined : this.#sought.judge(model);
  }
}

/** The fields of a part by lower-case name; undefined when they are in a form that clients don't write. */
function readFields(text: string): ReadonlyMap<string, string> | undefined {
  const fields = new Map<string, string>();
  for (const line of text.split(CRLF)) {
    const [, name, value] = /^([A-Za-z-]+): ?([\t\x20-\x7e\x80-\xff]*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) return undefined;
    const lower = name.toLowerCase();
    if (fields.has(lower)) return undefined;
    fields.set(lower, value);
  }
  return fields;
}

interface Part {
  readonly name: string;
  readonly isFile: boolean;
  /** Its Content-Type. */
  readonly type: string;
  /** Its Content-Length, in bytes. */
  readonly length: number | undefined;
}

/** Reads the headers of a part; undefined when parsers may read them differently. */
function partOf(fields: ReadonlyMap<string, string>): Part | undefined {
  let type = "text/plain";
  let length: number | undefined;
  for (const [field, value] of fields) {
    if (field === "content-transfer-encoding") {
      if (!IDENTITY.test(value)) return undefined;
    } else if (field === "content-type") {
      if (/^\s*multipart/i.test(value)) return undefined;
      type = value;
    } else if (field === "content-length") {
      if (!LENGTH.test(value)) return undefined;
      length = Number(value);
    } else if (field !== "content-disposition") return undefined;
  }
  const disposition = readDisposition(fields.get("content-disposition") ?? "");
  const name = disposition?.get("name");
  if (disposition === undefined || name === undefined || !FIELD_NAME.test(name)) return undefined;
  return { name, isFile: disposition.size > 1, type, length };
}

/** The parameters of a part's Content-Disposition by lower-case name; undefined when it is in a form that clients don't write. */
function readDisposition(text: string): ReadonlyMap<string, string> | undefined {
  const parameters = new Map<string, string>();
  if (!/^form-data;/i.test(text)) return undefined;
  for (let rest = text.slice("form-data".length); rest !== "";) {
    const [whole = "", name = "", quoted, bare = ""] = PARAMETER.exec(rest) ?? [];
    const isExtended = name.endsWith("*");
    if (whole === "" || parameters.has(name.toLowerCase())) return undefined;
    if (isExtended !== bare.includes("'")) return undefined;
    parameters.set(name.toLowerCase(), quoted ?? bare);
    rest = rest.slice(whole.length);
  }
  return parameters;
}
