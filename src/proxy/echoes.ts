// Whether an upstream's text holds a part of the key that it was called with: as it is, in another case, backwards, in hex or in base64.
// Runs once a call, so it must be cheap. Keeps nothing.

// The dashboard shows as much of a key as is shorter than this.
const SHORTEST_PART = 5;
const GRAM = 8;

// The look of eight bytes of ASCII in hex, and of twelve in base64. Few ids match, and only those are worth decoding.
const ASCII_IN_HEX = /(?:[2-7][0-9a-f]){8}/i;
const ASCII_IN_BASE64 = /(?:[A-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][\w+/-]){4}/;

/** Finds a whole key of any length; of longer keys also each part of fifteen characters, and many shorter parts. */
export function echoes(text: string, key: string): boolean {
  if (text.length < SHORTEST_PART || key === "") return false;
  const folded = key.toLowerCase();
  const lower = text.toLowerCase();
  return overlaps(lower, folded) || overlaps(reversed(lower), folded) || encodes(text, folded);
}

function overlaps(text: string, key: string): boolean {
  if (text.length >= SHORTEST_PART && key.includes(text)) return true;
  if (key.length >= SHORTEST_PART && text.includes(key)) return true;
  for (let i = 0; i + GRAM <= text.length; i += GRAM) {
    if (key.includes(text.slice(i, i + GRAM))) return true;
  }
  return false;
}

function encodes(text: string, key: string): boolean {
  return (
    (ASCII_IN_HEX.test(text) && decodedOverlaps(text.replace(/[^0-9a-f]/gi, ""), "hex", 2, key)) ||
    (ASCII_IN_BASE64.test(text) && decodedOverlaps(text, "base64", 4, key))
  );
}

/** The encoded text may begin anywhere, so each offset within a unit is tried. */
function decodedOverlaps(
  text: string,
  encoding: "hex" | "base64",
  unit: number,
  key: string,
): boolean {
  for (let offset = 0; offset < unit; offset++) {
    const decoded = Buffer.from(text.slice(offset), encoding).toString("latin1").toLowerCase();
    if (overlaps(decoded, key)) return true;
  }
  return false;
}

function reversed(text: string): string {
  return Buffer.from(text, "latin1").reverse().toString("latin1");
}
