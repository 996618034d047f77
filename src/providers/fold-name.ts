// How names of members, fields and parameters are compared where a lenient reader might take one for another. Pure.

/**
 * A name in the form in which lenient readers may compare it: without case (Go's encoding/json), without the separators by which
 * protobuf's two spellings differ, without Unicode's look-alikes, without brackets (PHP).
 */
export function foldName(name: string): string {
  return name
    .normalize("NFKC")
    .toLowerCase()
    .replace(/[^a-z0-9]/g, "");
}

const BEYOND_ASCII = 0xff;

/** Of each byte what is left of it in a folded name; 0: nothing. */
const FOLDED = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 0x80 ? (foldName(String.fromCharCode(byte)).codePointAt(0) ?? 0) : BEYOND_ASCII,
);

/**
 * The same number for all ASCII names that fold to one, so that nearly all others can be passed over without making strings of them.
 * -1: a name with other characters, of which `foldName` alone can tell.
 */
export function foldedHash(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0;
  for (let i = from; i < to; i++) {
    const letter = FOLDED[bytes[i] ?? 0] ?? 0;
    if (letter === BEYOND_ASCII) return -1;
    if (letter !== 0) hash = (hash * 31 + letter) & 0x3fffffff;
  }
  return hash;
}
