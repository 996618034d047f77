// Finds the models that a JSON body names in known places, byte by byte, while it streams by in pieces of any size. Strict RFC 8259: what
// some parsers accept and others don't is unclear. Keeps no more than the present name or value.
import type { RefusalReason } from "../platform/errors.ts";
import { foldedHash, foldName, type Member } from "../providers/index.ts";
import { INTEGER, isDigit, isWholeNumber, MINUS, nextInNumber, ZERO } from "./json-numbers.ts";
import { LONGEST_MODEL, type BodyReader, type Sought } from "./model-judge.ts";
import { Utf8Check } from "./utf8-check.ts";

const MAX_DEPTH = 512;
// In bytes. Every name that we look for is shorter, even if each of its letters is escaped.
const LONGEST_NAME = 256;
const BYTES_OF_ESCAPE = 6;

// What is expected next.
const START = 0;
const VALUE = 1;
const VALUE_OR_END = 2;
const NAME = 3;
const NAME_OR_END = 4;
const COLON = 5;
const COMMA_OR_END = 6;
const DONE = 7;
// Within a string or a literal; numbers have their own states (json-numbers.ts).
const STRING = 8;
const ESCAPE = 9;
const HEX = 10;
const LITERAL = 11;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OBJECT = 0x7d; // containers are known by how they end
const ARRAY = 0x5d;

/** Bytes that end a run of plain characters in a string: its end, an escape, a control character. */
const ENDS_RUN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 0x20 || byte === QUOTE || byte === BACKSLASH ? 1 : 0,
);

/** Bytes that make an escape with the backslash alone. */
const SIMPLE_ESCAPES: ReadonlySet<number> = new Set(Buffer.from('"\\/bfnrt'));

/** The role of a string. All but the last two are kept. */
const IS_NAME = 1;
const IS_MODEL = 2;
const IS_TYPE = 3;
const IS_OTHER = 0;
/** A name inside data that we don't look at. */
const IS_DATA_NAME = -1;

export class JsonReader implements BodyReader {
  readonly #sought: Sought;
  #state = START;
  /** The closing bytes of the open containers, outermost first. */
  readonly #ends: number[] = [];
  /** What the members of the outer containers mean, outermost first; undefined: they are data. */
  readonly #members: (Member | undefined)[] = [];
  /** The same for the innermost container. */
  #within: Member | undefined;
  /** What the next value means. */
  #next: Member | undefined;
  #string = IS_OTHER;
  /** The present string so far, latin1; undefined: too long. */
  #kept: string | undefined = "";
  #isEscaped = false;
  #hexLeft = 0;
  #literal = "";
  /** Whether the required place has come. */
  #found = false;
  #refusal: RefusalReason | undefined;
  readonly #utf8 = new Utf8Check();

  constructor(sought: Sought) {
    this.#sought = sought;
    this.#next = sought.body;
  }

  take(piece: Buffer): RefusalReason | undefined {
    this.#refusal ??= this.#read(piece);
    // Reported at the end of the body, so that the reason doesn't depend on how it was split.
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
            const string = this.#string;
            if (string > IS_OTHER && !this.#isForeign(piece, keptFrom, end)) {
              this.#keep(piece, keptFrom, end);
              const refusal = this.#stringEnded();
              if (refusal !== undefined) return refusal;
            }
            state = string === IS_NAME || string === IS_DATA_NAME ? COLON : this.#afterValue();
            this.#string = IS_OTHER;
          }
          break;
        }
        case ESCAPE:
          i++;
          if (byte === 0x75) {
            this.#hexLeft = 4;
            state = HEX;
          } else if (SIMPLE_ESCAPES.has(byte)) state = STRING;
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

  /** The next state for a byte outside strings, literals and numbers; -1: it isn't allowed there. */
  #structure(state: number, byte: number): number {
    switch (state) {
      case START:
        return byte === 0x7b ? this.#open(OBJECT) : -1;
      case NAME_OR_END:
        if (byte === OBJECT) return this.#close();
        return byte === QUOTE ? this.#beginName() : -1;
      case NAME:
        return byte === QUOTE ? this.#beginName() : -1;
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
    const next = this.#next;
    const kind = next?.kind;
    if (byte === QUOTE) {
      if (kind === undefined) return this.#beginString(IS_OTHER);
      return this.#beginString(kind === "tool" ? IS_TYPE : IS_MODEL);
    }
    // In the place of a name, a list is a list of further models; nothing else is allowed.
    if (kind === "only" || (kind === "model" && byte !== 0x5b)) return -1;
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
    this.#ends.push(end);
    this.#members.push(this.#within);
    this.#within = this.#next;
    return end === OBJECT ? NAME_OR_END : VALUE_OR_END;
  }

  #close(): number {
    this.#ends.pop();
    this.#within = this.#members.pop();
    return this.#afterValue();
  }

  #afterValue(): number {
    // In a list, each value means what the list means; in an object, the member's name tells.
    this.#next = this.#within;
    return this.#ends.length === 0 ? DONE : COMMA_OR_END;
  }

  #beginName(): number {
    return this.#beginString(this.#within === undefined ? IS_DATA_NAME : IS_NAME);
  }

  #beginString(what: number): number {
    this.#string = what;
    if (what > IS_OTHER) this.#kept = "";
    this.#isEscaped = false;
    return STRING;
  }

  #keep(piece: Buffer, from: number, to: number): void {
    if (this.#string <= IS_OTHER || this.#kept === undefined) return;
    const most = this.#string === IS_NAME ? LONGEST_NAME : BYTES_OF_ESCAPE * LONGEST_MODEL;
    if (this.#kept.length + to - from > most) this.#kept = undefined;
    else this.#kept += piece.toString("latin1", from, to);
  }

  /** Whether we look for no name like this here. True for most; tells it without making a string. */
  #isForeign(piece: Buffer, from: number, to: number): boolean {
    if (this.#string !== IS_NAME || this.#isEscaped || this.#kept !== "") return false;
    const within = this.#within;
    const hash = foldedHash(piece, from, to);
    if (hash < 0 || within?.hashes.has(hash) !== false) return false;
    this.#next = within.any;
    return true;
  }

  #stringEnded(): RefusalReason | undefined {
    const text = this.#kept === undefined ? undefined : unescaped(this.#kept);
    if (this.#string === IS_NAME) return this.#nameEnded(text);
    if (text === undefined) return "model_unclear";
    if (this.#string === IS_MODEL) return this.#sought.judge(text);
    return this.#sought.modelTools?.test(text) === true ? "model_unclear" : undefined;
  }

  #nameEnded(text: string | undefined): RefusalReason | undefined {
    const within = this.#within;
    const member =
      text === undefined
        ? undefined
        : (within?.members.get(text) ?? within?.members.get(foldName(text)));
    this.#next = member ?? within?.any;
    if (member?.kind === undefined) return undefined;
    // A type may be read case-insensitively; for a model, nobody can tell.
    if (member.kind === "rival") return "model_unclear";
    if (member.kind !== "tool" && this.#kept !== member.name) return "model_unclear";
    if (member.kind !== "only") return undefined;
    if (this.#found) return "model_unclear";
    this.#found = true;
    return undefined;
  }
}

/** Decodes a string from its bytes in the body (latin1), which are well-formed but for their UTF-8. */
function unescaped(raw: string): string {
  const text = Buffer.from(raw, "latin1").toString();
  return text.includes("\\") ? (JSON.parse(`"${text}"`) as string) : text;
}

function isHexDigit(byte: number): boolean {
  return isDigit(byte) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);
}
