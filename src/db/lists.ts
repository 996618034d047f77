// Parts of sorted lists.
import type { TransactionSql } from "./connection.ts";

/** At most `limit` rows, those that come after the sort key `after` (from the beginning without one). */
export interface Page<Key extends readonly string[]> {
  readonly after: Key | undefined;
  readonly limit: number;
}

/** Rows of a page, or fewer since the search for them was ended at `reached`: the page after it goes on there. */
export interface FoundPage<Key extends readonly string[], Row> {
  readonly rows: readonly Row[];
  /** Undefined: the search came to the page's or the list's end. */
  readonly reached: Key | undefined;
}

/**
 * From here on the transaction's statements go along indexes, in their order: a page then costs what is in it. The planner otherwise
 * comes to read and sort all that a filter lets pass, wherever it takes that for little.
 */
export async function goAlongIndexes(sql: TransactionSql): Promise<void> {
  await sql`select set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)`;
}

/** The words of it, in lower case: each has to stand somewhere. `openai/staging` are two, as two of its columns hold them. */
export function searchWords(query = ""): string[] {
  return query
    .toLowerCase()
    .split(/[\s/]+/)
    .filter((word) => word !== "");
}
