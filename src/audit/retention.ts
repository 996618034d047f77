// Prunes what the audit has kept for as long as its workspace says, by one process at a time, a few events a
// transaction, each from the workspace at which the last one ended. What may go is decided in the database, by the rule that stands
// there. Leaves stay.
import type { Pool } from "../db/index.ts";
import { inParts } from "../platform/jobs.ts";

export interface AuditRetention {
  /** Prunes all that has had its time; resolves to how many events and old checkpoints. 0 while another process is at it. */
  prune(signal?: AbortSignal): Promise<number>;
}

/** `pool`: of the control role. */
export function createAuditRetention({ pool }: { pool: Pool }): AuditRetention {
  let place: string | null = null;
  /** Does parts until one had something to delete, or there are no more. */
  async function doPart(): Promise<number> {
    do {
      const rows = await pool.query(
        (sql) => sql<{ pruned: number; place: string | null }[]>`
          select pruned::float8, at_workspace as place from x3sproxy.prune_audit(${place})`,
      );
      const { pruned = 0, place: at = null } = rows[0] ?? {};
      place = at;
      if (pruned > 0) return pruned;
    } while (place !== null);
    return 0;
  }
  // Until there is nothing.
  return { prune: (signal) => inParts(doPart, 1, signal) };
}
