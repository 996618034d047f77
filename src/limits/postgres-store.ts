// The arithmetic of gcra.ts in SQL, for requests that all processes count together without Redis. Its state is a column of the row that has
// the limit, so that one update checks and counts. Must never be used on a proxied request's way, where limits ask no database.
import type { TransactionSql } from "../db/index.ts";

/**
 * SQL for one more request of a row with the columns `requests_per_minute` (null: no limit) and `used_until`. `usedUntil` is the column's
 * new value, null without a limit; `waitS` is when the request would be admitted, in whole seconds, at least 1. A minute's worth may come
 * at once.
 */
export function requestsInPostgres(sql: TransactionSql) {
  const eachTakes = sql`interval '1 microsecond' * (60000000 / requests_per_minute)`;
  const burst = sql`interval '1 minute'`;
  const usedUntil = sql`greatest(used_until, now()) + ${eachTakes}`;
  return {
    usedUntil,
    isAdmitted: sql`coalesce(${usedUntil} <= now() + ${burst}, true)`,
    waitS: sql`greatest(1, ceil(extract(epoch from ${usedUntil} - ${burst} - now())))::integer`,
  };
}
