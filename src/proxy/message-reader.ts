// Finds the models that a client's WebSocket messages name (RFC 6455, 5), while they stream by in pieces of any size. Each message is a JSON
// document. Keeps the header of a frame and what the JSON reader keeps.
import type { RefusalReason } from "../platform/errors.ts";
import { JsonReader } from "./json-reader.ts";
import type { BodyReader, Sought } from "./model-judge.ts";

const FINAL = 0x80;
const RESERVED = 0x70;
const OPCODE = 0x0f;
const CONTROL = 0x08;
const CONTINUATION = 0;
const LAST_DATA_OPCODE = 2;
const MASKED = 0x80;
const MASK_BYTES = 4;

export class MessageReader implements BodyReader {
  readonly #sought: Sought;
  /** The header of a frame until it is complete. */
  readonly #head: number[] = [];
  /** The reader of the present message. Control frames may come between its frames. */
  #message: JsonReader | undefined;
  #isControl = false;
  #isFinal = false;
  #payloadLeft = 0;
  #maskAt = 0;
  #refusal: RefusalReason | undefined;

  constructor(sought: Sought) {
    this.#sought = sought;
  }

  take(piece: Buffer): RefusalReason | undefined {
    for (let at = 0; at < piece.length && this.#refusal === undefined;) at = this.#step(piece, at);
    return this.#refusal;
  }

  /** A connection may end anywhere; an incomplete message is no message. */
  end(): RefusalReason | undefined {
    return this.#refusal;
  }

  #step(piece: Buffer, at: number): number {
    if (this.#payloadLeft === 0) {
      this.#head.push(piece[at] ?? 0);
      if (this.#head.length === this.#headLength()) this.#refusal = this.#frameBegins();
      return at + 1;
    }
    const end = Math.min(piece.length, at + this.#payloadLeft);
    this.#payloadLeft -= end - at;
    if (!this.#isControl) this.#refusal = this.#message?.take(this.#unmasked(piece, at, end));
    if (this.#payloadLeft === 0) this.#refusal ??= this.#frameEnds();
    return end;
  }

  #headLength(): number {
    const second = this.#head[1];
    if (second === undefined) return 2;
    return 2 + lengthBytes(second) + MASK_BYTES;
  }

  #frameBegins(): RefusalReason | undefined {
    const [first = 0, second = 0] = this.#head;
    const opcode = first & OPCODE;
    this.#isControl = (opcode & CONTROL) !== 0;
    // Compressed messages can't be read. None is agreed on, since the client's offer doesn't go up.
    const isOdd = (first & RESERVED) !== 0 || (second & MASKED) === 0;
    if (isOdd) return "model_unclear";
    const extended = this.#head.slice(2, 2 + lengthBytes(second));
    const short = second & ~MASKED;
    this.#payloadLeft =
      extended.length === 0 ? short : extended.reduce((length, byte) => length * 256 + byte, 0);
    this.#maskAt = 0;
    this.#isFinal = (first & FINAL) !== 0;
    if (!this.#isControl) {
      const isNext = opcode === CONTINUATION;
      if (isNext !== (this.#message !== undefined) || opcode > LAST_DATA_OPCODE) {
        return "model_unclear";
      }
      this.#message ??= new JsonReader(this.#sought);
    }
    return this.#payloadLeft === 0 ? this.#frameEnds() : undefined;
  }

  #frameEnds(): RefusalReason | undefined {
    this.#head.length = 0;
    if (this.#isControl || !this.#isFinal) return undefined;
    const refusal = this.#message?.end();
    this.#message = undefined;
    return refusal;
  }

  #unmasked(piece: Buffer, from: number, to: number): Buffer {
    const bytes = Buffer.from(piece.subarray(from, to));
    const mask = this.#head.slice(-MASK_BYTES);
    for (let i = 0; i < bytes.length; i++) {
      bytes[i] = (bytes[i] ?? 0) ^ (mask[this.#maskAt] ?? 0);
      this.#maskAt = (this.#maskAt + 1) & (MASK_BYTES - 1);
    }
    return bytes;
  }
}

/** How many bytes of length follow the second byte of a frame. */
function lengthBytes(second: number): number {
  const short = second & ~MASKED;
  if (short < 126) return 0;
  return short === 126 ? 2 : 8;
}
