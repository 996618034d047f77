// What lists need that are read in pages and searched: sort keys, pages, the words of a search.
import type { TransactionSql } from "./connection.ts";

/** A page of a sorted list: at most `limit` rows after the sort key `after`; without one, the first rows. */
export interface Page<Key extends readonly string[]> {
  readonly after: Key | undefined;
  readonly limit: number;
}

/** The rows of a page. It may have fewer when the search ended early at `reached`, where the next page continues. */
export interface FoundPage<Key extends readonly string[], Row> {
  readonly rows: readonly Row[];
  /** Undefined: the page is full or the list has ended. */
  readonly reached: Key | undefined;
}

/**
 * Makes the planner use ordered index scans for the rest of the transaction, so that the cost of a page depends on its size alone.
 * Otherwise it may read and sort all rows that pass a filter, when it expects few.
 */
export async function preferOrderedIndexes(sql: TransactionSql): Promise<void> {
  await sql`select set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)`;
}

/** `created_at` in whole microseconds since 1970, for a sort key. A JavaScript Date would lose what is below a millisecond. */
export function createdUs(sql: TransactionSql) {
  return sql`(extract(epoch from created_at) * 1000000)::bigint`;
}

/** The exact time of such a number, as a timestamptz. */
export function momentOf(sql: TransactionSql, us: string) {
  return sql`timestamptz 'epoch' + ${us}::bigint * interval '1 microsecond'`;
}

/** The words of a search, in lower case; a row has to match each. `openai/staging` is two words, since two columns have them. */
export function searchWords(query = ""): string[] {
  return query
    .toLowerCase()
    .split(/[\s/]+/)
    .filter((word) => word !== "");
}
