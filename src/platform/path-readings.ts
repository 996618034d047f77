// What a canonical path may mean to upstream servers. An encoded slash, question mark or number sign stays encoded in it: some servers take it
// as a part of a name, others decode it first. Code that judges a path must judge each reading. Pure.

const ENDS_PATH = /%(?:3f|23)/;

/** Whether a canonical path has more than one reading. All other escapes in it are decoded. */
export function isAmbivalent(canonicalPath: string): boolean {
  return canonicalPath.includes("%") && /%(?:2f|3f|23)/.test(canonicalPath);
}

/**
 * Each reading of a canonical path, at most four: its encoded slashes as parts of names or as slashes, and its encoded question marks
 * and number signs as parts of names or as the path's end (RFC 3986, 2.2 and 3.3).
 */
export function pathReadings(canonicalPath: string): readonly string[] {
  const slashed = canonicalPath.includes("%2f")
    ? [canonicalPath, canonicalPath.replaceAll("%2f", "/")]
    : [canonicalPath];
  return slashed.flatMap((path) => {
    const end = path.search(ENDS_PATH);
    return end < 0 ? [path] : [path, path.slice(0, end).replace(/\/$/, "") || "/"];
  });
}
