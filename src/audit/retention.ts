// Prunes events that are older than the retention of their workspace. One process at a time does it, a few events a transaction,
// workspace by workspace. The database decides which events may be pruned. Must never remove a leaf.
import type { Pool } from "../db/index.ts";
import { inParts } from "../platform/jobs.ts";

export interface AuditRetention {
  /** Prunes all that is due; resolves to the number of events and old checkpoints. 0 while another process has the lock. */
  prune(signal?: AbortSignal): Promise<number>;
}

/** `pool`: of the control role. */
export function createAuditRetention({ pool }: { pool: Pool }): AuditRetention {
  let nextWorkspace: string | null = null;
  /** Prunes workspace by workspace, until one had something to delete or all are done. */
  async function doPart(): Promise<number> {
    do {
      const rows = await pool.query(
        (sql) => sql<{ pruned: number; next: string | null }[]>`
          select pruned::float8, at_workspace as next from x3sproxy.prune_audit(${nextWorkspace})`,
      );
      const { pruned = 0, next = null } = rows[0] ?? {};
      nextWorkspace = next;
      if (pruned > 0) return pruned;
    } while (nextWorkspace !== null);
    return 0;
  }
  return { prune: (signal) => inParts(doPart, 1, signal) };
}
