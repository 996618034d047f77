// An admin side over tables that have grown, whose statements' plans are looked at.
import type { TestContext } from "node:test";
import postgres from "postgres";
import { createTestDatabase } from "../support/database.ts";
import { addHistory } from "../support/history.ts";
import { addNeighbours } from "../support/neighbours.ts";
import { watchPlans, type Plan } from "../support/plans.ts";
import { openPeople } from "./people.ts";

/** Tables of which there are few rows, however long a service runs and whatever its clients do. */
const SMALL = new Set([
  "master_keys",
  "process_keys",
  "schema_migrations",
  "schema_functions",
  "sealed_keys",
  "activity_writers",
]);
/** Of one table by one step for an answer. The history has several times as many. */
export const MOST_READ = 5000;
const SIZE = {
  ...{ events: 14_000, minutes: 14_000, contexts: 14_000, calls: 20_000 },
  ...{ agents: 5, eventDays: 300, everyMinutes: 12 },
};

export async function openGrown(t: TestContext) {
  const watch = await watchPlans(await createTestDatabase());
  const admin = await openPeople(t, { database: watch.database });
  const owner = postgres(watch.database.ownerUrl, { max: 1, onnotice: () => undefined });
  t.after(async () => {
    await watch.close();
    await owner.end();
  });
  await addHistory(owner, admin.workspaceId, admin.signer, SIZE);
  await addNeighbours(owner);
  watch.take();
  return { admin, watch, owner };
}

/** What plans do that takes longer the more rows a table has. `most`: rows that one step may read. */
export function faults(plans: readonly Plan[], most: number): string[] {
  const found = plans.flatMap(({ statement, scans }) =>
    scans
      .filter(({ table }) => !SMALL.has(table))
      .filter(({ kind, rowsRead }) => kind === "Seq Scan" || rowsRead > most)
      .map(
        ({ kind, table, index, rowsRead }) =>
          `${kind} of ${table} ${index ?? ""}, ${rowsRead} rows: ${statement.slice(0, 200)}`,
      ),
  );
  return [...new Set(found)];
}
