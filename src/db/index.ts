// Access to Postgres: an embedded server when no other is configured, migrations, login roles, a pool that never hangs, and notifications
// of changes. Must not contain the queries of other rooms.
export {
  isUniqueViolation,
  withDeadline,
  withOwner,
  type OwnerSql,
  type Sql,
  type TransactionSql,
} from "./connection.ts";
export { isLocal, readDatabaseUrl, type DatabaseServer } from "./database-url.ts";
export { LOCK } from "./locks.ts";
export { revokePublicRights, loginName, prepareLogins } from "./logins.ts";
export { appliedMigrations, knownMigrations, migrate, migrateWithin } from "./migrations.ts";
export { createPool, type Pool } from "./pool.ts";
export {
  createdUs,
  momentOf,
  preferOrderedIndexes,
  searchWords,
  type FoundPage,
  type Page,
} from "./lists.ts";
export { startEmbedded } from "./embedded.ts";
export { createChanges, type Changes } from "./changes.ts";
export { transact } from "./transactions.ts";
