// Patterns with stars, as scopes are written in them. Their cost is bounded by pattern × text whatever both are: no expression that
// could be made to run for ever. Pure.

/** Whether `text` matches `pattern` as a whole; `*` stands for any characters, also none. */
export function matchesGlob(pattern: string, text: string): boolean {
  return walk(pattern, text, "*", (a, b) => a === b);
}

/** Whether the segments of a path match; `**` stands for any number of segments, also none, `*` within one as in `matchesGlob`. */
export function matchesSegments(pattern: readonly string[], segments: readonly string[]): boolean {
  return walk(pattern, segments, "**", (part, segment) =>
    part.includes("*") ? matchesGlob(part, segment) : part === segment,
  );
}

/** Goes along both; when they differ it lets the latest star take one more. Earlier stars need never be tried again. */
function walk(
  pattern: ArrayLike<string>,
  text: ArrayLike<string>,
  star: string,
  same: (part: string, item: string) => boolean,
): boolean {
  let p = 0;
  let starAt = -1;
  let resumeAt = 0;
  for (let t = 0; t < text.length;) {
    const part = pattern[p];
    if (part === star) {
      starAt = p++;
      resumeAt = t;
    } else if (part !== undefined && same(part, text[t] ?? "")) {
      p++;
      t++;
    } else if (starAt >= 0) {
      p = starAt + 1;
      t = ++resumeAt;
    } else return false;
  }
  while (pattern[p] === star) p++;
  return p === pattern.length;
}
