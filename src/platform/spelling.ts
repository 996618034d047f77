// How far a name is from another one: finds what is meant by a misspelt name.

/** Which of `names` is likely meant: the nearest, with at most one letter in four wrong, or `most` of them; undefined: none is near. */
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

/** A question to put behind a sentence, with a space before it; empty where nothing is near. It repeats nothing that was typed. */
export function didYouMean(typed: string, names: Iterable<string>): string {
  const meant = likelyMeant(typed.toLowerCase(), names);
  return meant === undefined ? "" : ` Did you mean ${meant}?`;
}

/** How many letters to add, leave out, replace or swap with the next (the optimal string alignment distance). */
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
