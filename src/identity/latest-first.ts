// The sort key of lists that begin with the latest row: when the row was created, in whole microseconds since 1970, and its id, since
// two rows may be created at the same time.

export type LatestFirst = readonly [createdUs: string, id: string];

/** Sorts before every row. */
export const LATEST: LatestFirst = ["9999999999999999", "ffffffff-ffff-ffff-ffff-ffffffffffff"];

/** A row of such a list with its sort key. */
export type Placed<View> = View & { readonly place: LatestFirst };
