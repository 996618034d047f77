// What is shown of a key once it is saved. Must never let enough through to help a guess.

const SHORTEST_SHOWN = 16;

/**
 * `sk-…abcd`: the last 4 characters, after at most 3 of a well-known kind of prefix (2 to 5 lower-case letters and a dash or
 * underscore). Nothing at all of a key shorter than 16 characters.
 */
export function mask(value: string): string {
  if (value.length < SHORTEST_SHOWN) return "…";
  const prefix = /^[a-z]{2,5}[-_]/.test(value) ? value.slice(0, 3) : "";
  return `${prefix}…${value.slice(-4)}`;
}
