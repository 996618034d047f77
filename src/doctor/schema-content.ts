// Compares tables, functions, triggers, policies and the rest of the schema with sql/expected.json. Reads only, in the caller's transaction.
// Postgres locks a table to read its expressions. Does not wait long for such a lock.
import type { TransactionSql } from "../db/index.ts";
import { readContentFacts } from "./catalog.ts";
import { CONTENT_KINDS } from "./facts.ts";
import { differences } from "./comparison.ts";
import { failureOf, type Findings } from "./finding.ts";
import { readNames } from "./rights.ts";
import { tell, type TopicId } from "./topics.ts";

const LOCK_NOT_AVAILABLE = "55P03";

/** The checks of this file, to be reported as skipped. */
export const CONTENT_IDS: readonly TopicId[] = [
  ...(["policies", "schema-content", "schema-indexes", "replication", "event-triggers"] as const),
];

export async function checkContent(sql: TransactionSql, findings: Findings): Promise<void> {
  await sql`set local lock_timeout = '2s'`;
  const names = await readNames(sql);
  tell(CONTENT_IDS, await differences(await readContentFacts(sql), CONTENT_KINDS, names), findings);
}

/** Whether `checkContent` failed because a table is locked. Then each topic is reported as skipped. */
export function skipHeld(error: unknown, findings: Findings): boolean {
  if (failureOf(error) !== LOCK_NOT_AVAILABLE) return false;
  for (const id of CONTENT_IDS) findings.skip(id, "somebody holds a table of the service");
  return true;
}
