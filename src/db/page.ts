// A part of a sorted list.

/** At most `limit` rows, those that come after the sort key `after` (from the beginning without one). */
export interface Page<Key extends readonly string[]> {
  readonly after: Key | undefined;
  readonly limit: number;
}
