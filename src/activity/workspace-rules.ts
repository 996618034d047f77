// Two rules of a workspace: when a key is due for rotation, and when an agent counts as idle. Only this file reads them.
import type { TransactionSql } from "../db/index.ts";

export interface WorkspaceRules {
  readonly rotationDays: number;
  readonly idleDays: number;
}

const DAY_MS = 86_400_000;

/** `sql`: a transaction confined to the workspace. */
export async function rulesOf(sql: TransactionSql, workspaceId: string): Promise<WorkspaceRules> {
  const [row] = await sql<WorkspaceRules[]>`
    select rotation_days as "rotationDays", idle_days as "idleDays"
    from x3sproxy.workspaces where id = ${workspaceId}`;
  if (row === undefined) throw new Error("the workspace is missing");
  return row;
}

/** When a key that was saved at `savedAt` is due for rotation. Both ISO 8601. */
export function rotationDueAt(savedAt: string, { rotationDays }: WorkspaceRules): string {
  return new Date(Date.parse(savedAt) + rotationDays * DAY_MS).toISOString();
}

/** Whether an agent is idle whose last activity was at `atMs`. */
export function isIdle(atMs: number, nowMs: number, { idleDays }: WorkspaceRules): boolean {
  return nowMs - atMs >= idleDays * DAY_MS;
}
