// Deletes what has had its time, by one process at a time, a part of one table a statement, each from where the last one
// ended. Where that was is kept in memory alone: a process that starts anew finds what is left all the same.
import type { Pool } from "../db/index.ts";
import { inParts } from "../platform/jobs.ts";

// As x3sproxy.prune_activity knows them.
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
  /** Deletes all that has had its time; resolves to how many rows. 0 while another process is at it. */
  prune(signal?: AbortSignal): Promise<number>;
}

/** `pool`: of the control role. */
export function createRetention({ pool }: { pool: Pool }): Retention {
  let table = 0;
  let place: Pick<Part, "workspaceId" | "id"> = { workspaceId: null, id: null };
  /** Does parts until one had something to delete, or there are no more. */
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
  // Until there is nothing.
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
