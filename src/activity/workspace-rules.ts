// The two rules of a workspace about time: when a key is due for another one, and when an agent counts as idle. The one place
// that reads them.
import type { TransactionSql } from "../db/index.ts";

export interface WorkspaceRules {
  readonly rotationDays: number;
  readonly idleDays: number;
}

const ROTATION_DAYS = 90;
const IDLE_DAYS = 14;
const DAY_MS = 86_400_000;

/** The workspace's own where it has any. `sql`: a transaction confined to the workspace. */
export async function rulesOf(sql: TransactionSql, workspaceId: string): Promise<WorkspaceRules> {
  const [row] = await sql<{ rotation: number | null; idle: number | null }[]>`
    select (to_jsonb(w) ->> 'rotation_days')::float8 as rotation, (to_jsonb(w) ->> 'idle_days')::float8 as idle
    from x3sproxy.workspaces w where id = ${workspaceId}`;
  return { rotationDays: row?.rotation ?? ROTATION_DAYS, idleDays: row?.idle ?? IDLE_DAYS };
}

/** When a key that was saved at `savedAt` (ISO 8601) is due for another one, ISO 8601. */
export function rotationDueAt(savedAt: string, { rotationDays }: WorkspaceRules): string {
  return new Date(Date.parse(savedAt) + rotationDays * DAY_MS).toISOString();
}

/** Whether an agent is idle that last showed life at `atMs`. */
export function isIdle(atMs: number, nowMs: number, { idleDays }: WorkspaceRules): boolean {
  return nowMs - atMs >= idleDays * DAY_MS;
}
