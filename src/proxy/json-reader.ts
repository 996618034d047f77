// Reads a JSON body for the one model that it names, byte by byte and at any split, while it streams by. Takes RFC 8259 to the letter:
// what one parser reads and another does not is unclear. Keeps no more than the name or the model that it is within.
import type { RefusalReason } from "../errors.ts";
import { foldName } from "../providers/index.ts";
import { INTEGER, isDigit, isWholeNumber, MINUS, nextInNumber, ZERO } from "./json-numbers.ts";
import { LONGEST_MODEL, type BodyReader, type Sought } from "./model-judge.ts";
import { Utf8Check } from "./utf8-check.ts";

const MAX_DEPTH = 512;
// In bytes: every name that is looked for is shorter, even with each letter of it escaped. What is longer is another one.
const LONGEST_NAME = 128;

// What is expected next.
const START = 0;
const VALUE = 1;
const VALUE_OR_END = 2;
const NAME = 3;
const NAME_OR_END = 4;
const COLON = 5;
const COMMA_OR_END = 6;
const DONE = 7;
// Within a string or a literal; numbers have states of their own (json-numbers.ts).
const STRING = 8;
const ESCAPE = 9;
const HEX = 10;
const LITERAL = 11;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OBJECT = 0x7d; // containers are known by how they end
const ARRAY = 0x5d;

/** Bytes that end the plain run of a string: its end, an escape, a control. */
const ENDS_RUN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 0x20 || byte === QUOTE || byte === BACKSLASH ? 1 : 0,
);

/** What a string is: of which no more than the first two are kept. */
const IS_NAME = 1;
const IS_MODEL = 2;
const IS_OTHER = 0;

/** Members whose values describe tools, which may name a model of their own (Anthropic's advisor, OpenAI's images). */
const TOOLS: ReadonlySet<string> = new Set(["tools", "definition"]);
// Objects of a tool, counted from the tool itself, in which `model` names one. Below are the schemas of its input.
const TOOL_LEVELS = 2;

export class JsonReader implements BodyReader {
  readonly #sought: Sought;
  #state = START;
  /** Of the containers that are open, outermost first: how they end. */
  readonly #ends: number[] = [];
  /** Of the same: 0 outside of tools, else one more than the objects of a tool that are open. */
  readonly #toolLevels: number[] = [];
  /** Whether the value that comes next describes tools, or is the model. */
  #nextIsTools = false;
  #nextIsModel = false;
  #string = IS_OTHER;
  /** What is kept of a name or model so far, latin1; undefined: too long. */
  #kept: string | undefined = "";
  #isEscaped = false;
  #hexLeft = 0;
  #literal = "";
  #found = false;
  #refusal: RefusalReason | undefined;
  readonly #utf8 = new Utf8Check();

  constructor(sought: Sought) {
    this.#sought = sought;
  }

  take(piece: Buffer): RefusalReason | undefined {
    this.#refusal ??= this.#read(piece);
    // Told at the end, so that the reason does not depend on where the pieces were cut.
    if (this.#refusal === undefined) this.#utf8.take(piece);
    return this.#refusal;
  }

  end(): RefusalReason | undefined {
    const isWhole = this.#state === DONE && this.#utf8.isWhole;
    if (!isWhole || (!this.#found && this.#sought.isRequired)) this.#refusal ??= "model_unclear";
    return this.#refusal;
  }

  #read(piece: Buffer): RefusalReason | undefined {
    const { length } = piece;
    let state = this.#state;
    let keptFrom = 0;
    let i = 0;
    while (i < length) {
      const byte = piece[i] ?? 0;
      switch (state) {
        case STRING: {
          let end = i;
          while (end < length && ENDS_RUN[piece[end] ?? 0] === 0) end++;
          i = end;
          if (end === length) break;
          i++;
          if (piece[end] === BACKSLASH) {
            this.#isEscaped = true;
            state = ESCAPE;
          } else if (piece[end] !== QUOTE) return "model_unclear";
          else {
            if (this.#string !== IS_OTHER && !this.#isForeign(end - keptFrom)) {
              this.#keep(piece, keptFrom, end);
              const refusal = this.#stringEnded();
              if (refusal !== undefined) return refusal;
            }
            state = this.#string === IS_NAME ? COLON : this.#afterValue();
            this.#string = IS_OTHER;
          }
          break;
        }
        case ESCAPE:
          i++;
          if (byte === 0x75) {
            this.#hexLeft = 4;
            state = HEX;
          } else if (isSimpleEscape(byte)) state = STRING;
          else return "model_unclear";
          break;
        case HEX:
          i++;
          if (!isHexDigit(byte)) return "model_unclear";
          if (--this.#hexLeft === 0) state = STRING;
          break;
        case LITERAL:
          i++;
          if (byte !== this.#literal.charCodeAt(0)) return "model_unclear";
          this.#literal = this.#literal.slice(1);
          if (this.#literal === "") state = this.#afterValue();
          break;
        default: {
          if (state >= MINUS) {
            const next = nextInNumber(state, byte);
            if (next >= 0) {
              state = next;
              i++;
            } else if (isWholeNumber(state)) state = this.#afterValue();
            else return "model_unclear";
            break;
          }
          i++;
          if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) break;
          state = this.#structure(state, byte);
          if (state < 0) return "model_unclear";
          if (state === STRING) keptFrom = i;
        }
      }
    }
    if (state === STRING || state === ESCAPE || state === HEX) this.#keep(piece, keptFrom, length);
    this.#state = state;
    return undefined;
  }

  /** The state after a byte outside of strings, literals and numbers; -1: it does not belong there. */
  #structure(state: number, byte: number): number {
    switch (state) {
      case START:
        return byte === 0x7b ? this.#open(OBJECT) : -1;
      case NAME_OR_END:
        if (byte === OBJECT) return this.#close();
        return byte === QUOTE ? this.#beginString(IS_NAME) : -1;
      case NAME:
        return byte === QUOTE ? this.#beginString(IS_NAME) : -1;
      case COLON:
        return byte === 0x3a ? VALUE : -1;
      case COMMA_OR_END:
        if (byte !== 0x2c) return byte === this.#ends.at(-1) ? this.#close() : -1;
        return this.#ends.at(-1) === OBJECT ? NAME : VALUE;
      case VALUE_OR_END:
        return byte === ARRAY ? this.#close() : this.#value(byte);
      case VALUE:
        return this.#value(byte);
      default:
        return -1; // nothing may follow
    }
  }

  #value(byte: number): number {
    if (byte === QUOTE) return this.#beginString(this.#nextIsModel ? IS_MODEL : IS_OTHER);
    if (this.#nextIsModel) return -1;
    if (byte === 0x7b) return this.#open(OBJECT);
    if (byte === 0x5b) return this.#open(ARRAY);
    if (byte === 0x2d) return MINUS;
    if (byte === 0x30) return ZERO;
    if (isDigit(byte)) return INTEGER;
    if (byte === 0x74) this.#literal = "rue";
    else if (byte === 0x66) this.#literal = "alse";
    else if (byte === 0x6e) this.#literal = "ull";
    else return -1;
    return LITERAL;
  }

  #open(end: number): number {
    if (this.#ends.length === MAX_DEPTH) return -1;
    const outer = this.#nextIsTools ? 1 : (this.#toolLevels.at(-1) ?? 0);
    const inner = outer > 0 && end === OBJECT ? outer + 1 : outer;
    this.#nextIsTools = false;
    this.#ends.push(end);
    this.#toolLevels.push(inner > TOOL_LEVELS + 1 ? 0 : inner);
    return end === OBJECT ? NAME_OR_END : VALUE_OR_END;
  }

  #close(): number {
    this.#ends.pop();
    this.#toolLevels.pop();
    return this.#afterValue();
  }

  #afterValue(): number {
    this.#nextIsTools = false;
    this.#nextIsModel = false;
    return this.#ends.length === 0 ? DONE : COMMA_OR_END;
  }

  #beginString(what: number): number {
    this.#string = what;
    this.#kept = "";
    this.#isEscaped = false;
    return STRING;
  }

  #keep(piece: Buffer, from: number, to: number): void {
    if (this.#string === IS_OTHER || this.#kept === undefined) return;
    const most = this.#string === IS_NAME ? LONGEST_NAME : LONGEST_MODEL;
    if (this.#kept.length + to - from > most) this.#kept = undefined;
    else this.#kept += piece.toString("latin1", from, to);
  }

  /** Whether a name is none of those that are looked for, by its place and its length alone. */
  #isForeign(length: number): boolean {
    return (
      this.#string === IS_NAME &&
      this.#ends.length > 1 &&
      !this.#isEscaped &&
      this.#kept === "" &&
      length !== 5 && // tools, model
      length !== 6 && // tools with the long s, which Go takes for an s
      length !== 10 // definition
    );
  }

  #stringEnded(): RefusalReason | undefined {
    const text = this.#kept;
    if (this.#string === IS_NAME) return text === undefined ? undefined : this.#nameEnded(text);
    this.#found = true;
    if (text === undefined || this.#isEscaped) return "model_unclear";
    return this.#sought.judge(text);
  }

  #nameEnded(text: string): RefusalReason | undefined {
    const { name, rivals } = this.#sought;
    if (this.#ends.length === 1) {
      if (text === name && !this.#found) {
        this.#nextIsModel = true;
        return undefined;
      }
      const folded = foldName(unescaped(text));
      if (folded === foldName(name) || rivals.has(folded)) return "model_unclear";
      this.#nextIsTools = TOOLS.has(folded);
      return undefined;
    }
    const folded = foldName(unescaped(text));
    const isInTool = (this.#toolLevels.at(-1) ?? 0) > 0;
    if (isInTool && folded === "model") return "model_unclear";
    this.#nextIsTools = TOOLS.has(folded);
    return undefined;
  }
}

/** A name whose bytes (latin1) stand in the body as `raw`, well-formed but for its UTF-8. */
function unescaped(raw: string): string {
  const text = Buffer.from(raw, "latin1").toString();
  return text.includes("\\") ? (JSON.parse(`"${text}"`) as string) : text;
}

function isHexDigit(byte: number): boolean {
  return isDigit(byte) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);
}

function isSimpleEscape(byte: number): boolean {
  return '"\\/bfnrt'.includes(String.fromCharCode(byte));
}
