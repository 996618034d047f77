// Whether bytes that come in pieces are UTF-8, wherever the pieces were cut. Keeps no more than the beginning of one character.
import { isUtf8 } from "node:buffer";

const NOTHING = Buffer.alloc(0);

export class Utf8Check {
  #isGood = true;
  /** The beginning of a character that a piece ended within. */
  #cut: Buffer = NOTHING;

  /** Whether all of it, up to here, is. */
  get isWhole(): boolean {
    return this.#isGood && this.#cut.length === 0;
  }

  take(piece: Buffer): void {
    this.#isGood &&= this.#check(piece);
  }

  #check(piece: Buffer): boolean {
    let from = 0;
    if (this.#cut.length > 0) {
      from = Math.min(characterLength(this.#cut[0] ?? 0) - this.#cut.length, piece.length);
      const character = Buffer.concat([this.#cut, piece.subarray(0, from)]);
      if (character.length < characterLength(character[0] ?? 0)) {
        this.#cut = character;
        return true;
      }
      this.#cut = NOTHING;
      if (!isUtf8(character)) return false;
    }
    let to = piece.length;
    for (let back = 1; back <= 3 && back <= piece.length - from; back++) {
      const byte = piece[piece.length - back] ?? 0;
      if (byte >= 0x80 && byte < 0xc0) continue;
      if (characterLength(byte) > back) to = piece.length - back;
      break;
    }
    if (to < piece.length) this.#cut = Buffer.from(piece.subarray(to));
    return isUtf8(piece.subarray(from, to));
  }
}

/** By its first byte; 1 for one that begins none. */
function characterLength(byte: number): number {
  if (byte < 0xc0) return 1;
  if (byte < 0xe0) return 2;
  return byte < 0xf0 ? 3 : 4;
}
