// The sort key of lists that begin with the latest: when a row was made, in whole microseconds since 1970 (a JavaScript Date would
// lose those below the millisecond), and its id, since two may have been made at once.
import type { TransactionSql } from "../db/index.ts";

export type LatestFirst = readonly [createdUs: string, id: string];

/** Comes before every row. */
export const LATEST: LatestFirst = ["9999999999999999", "ffffffff-ffff-ffff-ffff-ffffffffffff"];

/** A row of such a list, with its place in it. */
export type Placed<View> = View & { readonly place: LatestFirst };

/** A key's time, exactly. */
export function momentOf(sql: TransactionSql, us: string) {
  return sql`timestamptz 'epoch' + ${us}::bigint * interval '1 microsecond'`;
}

/** `created_at` as the key has it. */
export function createdUs(sql: TransactionSql) {
  return sql`(extract(epoch from created_at) * 1000000)::bigint`;
}
