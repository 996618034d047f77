// What somebody types into a search. Pure.

/** The words of it, in lower case: each has to stand somewhere. `openai/staging` are two, as two of its columns hold them. */
export function searchWords(query = ""): string[] {
  return query
    .toLowerCase()
    .split(/[\s/]+/)
    .filter((word) => word !== "");
}
