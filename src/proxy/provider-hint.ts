// Tells whoever called no provider which one may be meant. Names built-in providers and nothing else: nothing of the request, and no
// custom provider, of which strangers must not learn.
import { builtInProviders } from "../providers/index.ts";

// What paths of providers begin with.
const BEGINS_A_PATH =
  /^(?:v\d[a-z\d]*|api|chat|models|messages|responses|completions|embeddings)$/i;
const LONGEST_TYPED = 20;

/** A sentence and a space about `asked`, which stands where a provider's name belongs and is none; empty: nothing is near it. */
export function providerHint(asked: string | undefined): string {
  if (asked === undefined || asked.length > LONGEST_TYPED) return "";
  if (BEGINS_A_PATH.test(asked)) {
    return "Here the provider's own path comes first: put the provider's name before it. ";
  }
  const typed = asked.toLowerCase();
  let nearest: string | undefined;
  // Of a short name, two letters are too much of it.
  let least = typed.length < 5 ? 2 : 3;
  for (const name of builtInProviders.keys()) {
    const edits = editsBetween(typed, name);
    if (edits < least) {
      least = edits;
      nearest = name;
    }
  }
  return nearest === undefined ? "" : `Is "${nearest}" meant? `;
}

/** Letters to be put in, left out, changed, or swapped with the next one (the optimal string alignment distance). */
function editsBetween(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const edits = Math.min(
        (above[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (above[j - 1] ?? 0) + (same ? 0 : 1),
        swapped ? (before[j - 2] ?? 0) + 1 : Infinity,
      );
      row.push(edits);
    }
    before = above;
    above = row;
  }
  return above[b.length] ?? 0;
}
