// Keys that their provider refuses: since the last call that it took, how many calls of how many agents. Says it of active versions alone,
// so that it ends when another key takes its place.
import type { TransactionSql } from "../db/index.ts";

/** What a provider refuses with a key. All times ISO 8601. */
export interface KeyRefusals {
  calls: number;
  /** Whose calls these were. */
  agents: number;
  /** By the answer's status. */
  status401: number;
  status403: number;
  status429: number;
  since: string;
  latest: string;
}

/** By the secret's id. `agents`: only calls of these, by name; null: of all. `sql`: a transaction confined to the workspace. */
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
