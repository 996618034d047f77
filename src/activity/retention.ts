// Deletes expired rows: one process at a time, a part of one table in each statement, each from where the last one ended. That place is
// only in memory; a new process begins again and finds the same rows.
import type { Pool } from "../db/index.ts";
import { inParts } from "../platform/jobs.ts";

// The names that x3sproxy.prune_activity takes.
const TABLES = [
  "activity_minutes",
  "activity_contexts",
  "activity_calls",
  "activity_versions",
  "activity_agents",
  "agent_first_uses",
  "activity_writers",
] as const;

interface Part {
  readonly pruned: number;
  readonly workspaceId: string | null;
  readonly id: string | null;
}

export interface Retention {
  /** Deletes all expired rows. Resolves to their number; 0 while another process does this. */
  prune(signal?: AbortSignal): Promise<number>;
}

/** `pool`: of the control role. */
export function createRetention({ pool }: { pool: Pool }): Retention {
  let table = 0;
  let place: Pick<Part, "workspaceId" | "id"> = { workspaceId: null, id: null };
  /** Runs parts until one deleted something, or there are no more. */
  async function doPart(): Promise<number> {
    for (; table < TABLES.length; table++) {
      do {
        const part = await prunePart(pool, TABLES[table] ?? "", place);
        place = part;
        if (part.pruned > 0) return part.pruned;
      } while (place.workspaceId !== null);
    }
    table = 0;
    return 0;
  }
  // Until nothing is left.
  return { prune: (signal) => inParts(doPart, 1, signal) };
}

async function prunePart(
  pool: Pool,
  table: string,
  { workspaceId, id }: Pick<Part, "workspaceId" | "id">,
): Promise<Part> {
  const [part] = await pool.query(
    (sql) => sql<Part[]>`
      select pruned::float8, at_workspace as "workspaceId", at_id as id
      from x3sproxy.prune_activity(${table}, ${workspaceId}, ${id})`,
  );
  if (part === undefined) throw new Error("pruning gave no answer");
  return part;
}
