// Keys that their provider refuses: how many calls of how many agents since the last accepted call. Only of active versions, so a rotation
// ends it.
import type { TransactionSql } from "../db/index.ts";

/** The refusals of a key. All times ISO 8601. */
export interface KeyRefusals {
  calls: number;
  /** The agents that made these calls. */
  agents: number;
  /** Counts by the answer's status. */
  status401: number;
  status403: number;
  status429: number;
  since: string;
  latest: string;
}

/** Refusals by the secret's id. `agents`: the names of those whose calls count; null: all. `sql`: a transaction confined to the workspace. */
export async function findKeyRefusals(
  sql: TransactionSql,
  { workspaceId, agents }: { workspaceId: string; agents: readonly string[] | null },
): Promise<Map<string, KeyRefusals>> {
  type Moment = "since" | "latest";
  const rows = await sql<
    (Omit<KeyRefusals, Moment> & Record<Moment, Date> & { secretId: string })[]
  >`
    select secret_id as "secretId", calls::float8, agents::float8, status_401::float8 as "status401",
      status_403::float8 as "status403", status_429::float8 as "status429", since, latest
    from x3sproxy.key_refusals(${workspaceId}, ${agents as string[] | null}::text[])`;
  return new Map(
    rows.map(({ secretId, since, latest, ...counts }) => [
      secretId,
      { ...counts, since: since.toISOString(), latest: latest.toISOString() },
    ]),
  );
}
