// What a canonical path may mean to the servers behind us. An encoded slash, question mark or number sign stays an escape in it, since
// one server takes it for a part of a name and the next one decodes it first. Whoever judges a path judges each reading. Pure.

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
