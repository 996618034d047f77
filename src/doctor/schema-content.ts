// Whether the schema is the one that the migrations make: tables, functions, triggers, policies and the rest of sql/expected.json. Reads
// only, in a transaction of the caller's. The server reads an expression under its table's lock: whoever holds one is not waited for long.
import type { TransactionSql } from "../db/index.ts";
import { readContentFacts } from "./catalog.ts";
import { CONTENT_KINDS } from "./facts.ts";
import { differences } from "./comparison.ts";
import { failureOf, type Findings } from "./finding.ts";
import { readNames } from "./rights.ts";
import { tell, type TopicId } from "./topics.ts";

const LOCK_NOT_AVAILABLE = "55P03";

/** What is looked at here, for whoever has to say that it was not. */
export const CONTENT_IDS: readonly TopicId[] = [
  ...(["policies", "schema-content", "schema-indexes", "replication", "event-triggers"] as const),
];

export async function checkContent(sql: TransactionSql, findings: Findings): Promise<void> {
  await sql`set local lock_timeout = '2s'`;
  const names = await readNames(sql);
  tell(CONTENT_IDS, await differences(await readContentFacts(sql), CONTENT_KINDS, names), findings);
}

/** Whether what `checkContent` threw says that somebody holds a table; each topic is then told as not looked at. */
export function skipHeld(error: unknown, findings: Findings): boolean {
  if (failureOf(error) !== LOCK_NOT_AVAILABLE) return false;
  for (const id of CONTENT_IDS) findings.skip(id, "somebody holds a table of the service");
  return true;
}
