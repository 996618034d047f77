// What the service does by itself, in the home workspace's audit: that it starts and stops, and which migrations it has applied.
import { hostname } from "node:os";
import { createPool, type Pool } from "../db/index.ts";
import { record, serviceActor, type Action } from "./record.ts";

export interface ServiceEvents {
  /** Rejects where it can't be written: what can't be in the audit must not run. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** `pool`: the control role's. `workspaceId`: home. `processId`: of this process, which later events name. */
export function createServiceEvents(o: {
  pool: Pool;
  workspaceId: string;
  processId: string;
  version: string;
}): ServiceEvents {
  const { workspaceId, processId } = o;
  const by = serviceActor(workspaceId);
  const write = (action: Action): Promise<void> =>
    o.pool.inWorkspace(workspaceId, (sql) =>
      record(sql, by, {
        action,
        target: { kind: "process", id: processId, name: hostname().slice(0, 300) },
        detail: { process: processId, version: o.version },
      }),
    );
  return { start: () => write("service.start"), stop: () => write("service.stop") };
}

/** Records the migrations that were applied since this was last done; before there is a home workspace, nothing. */
export async function recordMigrations(ownerUrl: string): Promise<void> {
  const pool = createPool(ownerUrl, { max: 1 });
  try {
    await pool.query((sql) => sql`select x3sproxy.record_migrations()`);
  } finally {
    await pool.close();
  }
}
