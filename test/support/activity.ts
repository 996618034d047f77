// Activity for tests: exchanges as the proxy would hand them over, and rows as if they had been written earlier.
import type { Sql } from "../../src/db/index.ts";
import type { EndedCall } from "../../src/activity/calls.ts";
import type { EndedExchange } from "../../src/activity/ledger.ts";

/** An exchange that went well, but for what `different` says. */
export function ended(
  of: { workspaceId: string; agentId: string; agent: string },
  different: Partial<EndedExchange & EndedCall> = {},
): EndedExchange & EndedCall {
  return {
    ...of,
    deployment: 1,
    provider: "openai",
    secretId: undefined,
    secretVersion: undefined,
    status: 200,
    isForEverybody: false,
    outcome: "completed",
    requestBytes: 10,
    responseBytes: 100,
    firstByteMs: 20,
    totalMs: 50,
    endedAtMs: Date.now(),
    method: "POST",
    path: "/v1/responses",
    recordedPath: different.path ?? "/v1/responses",
    address: "192.0.2.1",
    context: undefined,
    wentUp: different.outcome !== "refused",
    ...different,
  };
}

/** Puts a minute into the table. Columns that are left out: one good request. */
export async function insertMinute(
  owner: Sql,
  row: { workspaceId: string; agent: string; atMs: number; provider?: string } & Partial<
    Record<
      "requests" | "errors" | "refusals" | "broken" | "open" | "status2xx" | "status5xx",
      number
    >
  >,
): Promise<void> {
  const { requests = 1, errors = 0, refusals = 0, broken = 0, open = 0 } = row;
  await owner`
    insert into x3sproxy.activity_minutes
    values (${row.workspaceId}, ${new Date(row.atMs - (row.atMs % 60_000))}, ${row.agent}, ${row.provider ?? "openai"},
      ${requests}, ${row.status2xx ?? requests}, 0, 0, ${row.status5xx ?? 0}, 0, ${errors}, ${refusals}, ${broken},
      ${requests * 10}, ${requests * 100}, ${requests}, ${requests * 20}, ${requests}, ${requests * 50}, ${open})`;
}

/** Puts calls that went up into the table of them, in the hour of `atMs`. */
export async function insertCalls(
  owner: Sql,
  row: { workspaceId: string; agentId: string; atMs: number; provider?: string } & Partial<
    Record<"method" | "path" | "address", string>
  >,
  requests: number,
): Promise<void> {
  const {
    provider = "openai",
    method = "POST",
    path = "/v1/responses",
    address = "192.0.2.1",
  } = row;
  await owner`
    insert into x3sproxy.activity_calls
    values (${row.workspaceId}, ${row.agentId}, date_trunc('hour', ${new Date(row.atMs)}::timestamptz, 'UTC'),
      ${provider}, ${method}, ${path}, ${address}, ${requests})`;
}
