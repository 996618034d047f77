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
