// Finds the name that a misspelt one likely means, by edit distance.

/** The nearest of `names`, with at most `most` wrong letters (by default, one in four). Undefined if none is near. */
export function likelyMeant(
  typed: string,
  names: Iterable<string>,
  most = Math.max(1, Math.floor(typed.length / 4)),
): string | undefined {
  let best: { readonly name: string; readonly edits: number } | undefined;
  for (const name of names) {
    const edits = editsBetween(typed, name);
    if (edits <= most && (best === undefined || edits < best.edits)) best = { name, edits };
  }
  return best?.name;
}

/** A question to append to a sentence, with a leading space. Empty if no name is near. It does not repeat the typed name. */
export function didYouMean(typed: string, names: Iterable<string>): string {
  const meant = likelyMeant(typed.toLowerCase(), names);
  return meant === undefined ? "" : ` Did you mean ${meant}?`;
}

/** The optimal string alignment distance: how many letters to add, remove, replace or swap with the next one. */
function editsBetween(one: string, other: string): number {
  let [before, last]: [number[], number[]] = [
    [],
    Array.from({ length: other.length + 1 }, (_, i) => i),
  ];
  for (let i = 1; i <= one.length; i++) {
    const row = [i];
    for (let j = 1; j <= other.length; j++) {
      const same = one[i - 1] === other[j - 1] ? 0 : 1;
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + same);
      if (i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]) {
        least = Math.min(least, (before[j - 2] ?? 0) + 1);
      }
      row.push(least);
    }
    [before, last] = [last, row];
  }
  return last.at(-1) ?? 0;
}
