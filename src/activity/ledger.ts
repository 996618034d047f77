// Sums up in memory what happened since the last write, by minute, agent, provider and version of the key. Bounded: beyond the bound it
// counts what it leaves out. Reads only the exchange's record: never a header, path, body or key.

/** The fields that are read of an ended exchange. */
export interface EndedExchange {
  readonly workspaceId: string | undefined;
  readonly agentId: string | undefined;
  readonly agent: string | undefined;
  readonly deployment: number | undefined;
  readonly provider: string | undefined;
  readonly secretId: string | undefined;
  readonly secretVersion: number | undefined;
  readonly status: number | undefined;
  /** Whether a successful answer says nothing about the key. */
  readonly isForEverybody: boolean;
  readonly outcome: string | undefined;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly firstByteMs: number | undefined;
  readonly totalMs: number;
  readonly endedAtMs: number;
}

/** How many calls of an agent to a provider are open now, and the most since the last reading. */
export interface OpenCalls {
  readonly workspaceId: string;
  readonly agentId: string;
  readonly agent: string;
  readonly deployment: number;
  readonly provider: string;
  readonly now: number;
  readonly most: number;
}

/** One row to write. The keys are the columns that x3sproxy.add_activity reads. Times ISO 8601, sums of times in milliseconds. */
export type SumsRow = ReturnType<typeof rowOf>;

interface Sums {
  readonly minuteMs: number;
  readonly workspaceId: string;
  readonly agentId: string;
  readonly agent: string;
  readonly provider: string;
  readonly secretId: string | undefined;
  readonly version: number | undefined;
  deployment: number;
  requests: number;
  /** By status class: none, 1xx, 2xx, … */
  readonly statuses: [number, number, number, number, number, number];
  errors: number;
  refusals: number;
  broken: number;
  requestBytes: number;
  responseBytes: number;
  firstByteCount: number;
  firstByteMs: number;
  totalCount: number;
  totalMs: number;
  openPeak: number;
  firstUsedMs: number;
  lastUsedMs: number;
  /** When the last 2xx answer began; 0: none. The next fields count from then on. */
  acceptedMs: number;
  refused401: number;
  refused403: number;
  refused429: number;
  /** The times of the first and the last of these; 0: none. */
  refusedFromMs: number;
  refusedToMs: number;
}

type Key = Pick<
  Sums,
  "minuteMs" | "workspaceId" | "agentId" | "agent" | "provider" | "secretId" | "version"
>;

const MINUTE_MS = 60_000;

export class Ledger {
  readonly #maxRows: number;
  readonly #rows = new Map<string, Sums>();
  /** The row of each agent's previous exchange, by its id. Mostly the next one belongs to it, too. */
  readonly #latest = new Map<string, Sums>();
  /** The most calls open at once in the present minute, as far as noted. */
  readonly #peaks = new Map<string, number>();
  #peaksMinuteMs = 0;
  /** Exchanges that found no room. */
  dropped = 0;

  constructor(maxRows: number) {
    this.#maxRows = maxRows;
  }

  get size(): number {
    return this.#rows.size;
  }

  /** Adds exchanges to the minute in which they ended. Those without a known agent are left out. */
  add(ended: readonly EndedExchange[]): void {
    for (const exchange of ended) {
      const { workspaceId, agentId, agent, outcome, endedAtMs } = exchange;
      if (workspaceId === undefined || agentId === undefined || agent === undefined) continue;
      // The key of a refused call was not sent, or it isn't known that it was.
      const used = outcome !== "refused";
      const row = this.#row({
        minuteMs: endedAtMs - (endedAtMs % MINUTE_MS),
        workspaceId,
        agentId,
        agent,
        provider: exchange.provider ?? "",
        secretId: used ? exchange.secretId : undefined,
        version: used ? exchange.secretVersion : undefined,
      });
      if (row === undefined) this.dropped++;
      else count(row, exchange);
    }
  }

  /** Notes calls that are or were open: by how much this minute's maximum has grown. */
  note(calls: readonly OpenCalls[], nowMs: number): void {
    const minuteMs = nowMs - (nowMs % MINUTE_MS);
    if (minuteMs !== this.#peaksMinuteMs) {
      this.#peaksMinuteMs = minuteMs;
      this.#peaks.clear();
    }
    for (const { workspaceId, agentId, agent, provider, most, deployment } of calls) {
      const key = `${agentId} ${provider}`;
      const growth = most - (this.#peaks.get(key) ?? 0);
      if (growth <= 0) continue;
      const version = undefined;
      const secretId = undefined;
      const row = this.#row({
        ...{ minuteMs, workspaceId, agentId, agent, provider, secretId, version },
      });
      if (row === undefined) continue;
      this.#peaks.set(key, most);
      row.openPeak += growth;
      use(row, deployment, nowMs, nowMs);
    }
  }

  /** Takes out the oldest rows, at most `limit`. */
  take(limit: number): SumsRow[] {
    const taken: SumsRow[] = [];
    for (const [key, row] of this.#rows) {
      if (taken.length === limit) break;
      taken.push(rowOf(row));
      this.#rows.delete(key);
    }
    this.#latest.clear();
    return taken;
  }

  #row(key: Key): Sums | undefined {
    const latest = this.#latest.get(key.agentId);
    if (latest !== undefined && isSame(latest, key)) return latest;
    const text = `${key.minuteMs} ${key.agentId} ${key.provider} ${key.secretId ?? ""} ${key.version ?? ""}`;
    let row = this.#rows.get(text);
    if (row === undefined) {
      if (this.#rows.size >= this.#maxRows) return undefined;
      row = empty(key);
      this.#rows.set(text, row);
    }
    this.#latest.set(key.agentId, row);
    return row;
  }
}

function isSame(row: Sums, key: Key): boolean {
  return (
    row.minuteMs === key.minuteMs &&
    row.agentId === key.agentId &&
    row.provider === key.provider &&
    row.secretId === key.secretId &&
    row.version === key.version
  );
}

function empty(key: Key): Sums {
  return {
    ...key,
    deployment: 0,
    requests: 0,
    statuses: [0, 0, 0, 0, 0, 0],
    errors: 0,
    refusals: 0,
    broken: 0,
    requestBytes: 0,
    responseBytes: 0,
    firstByteCount: 0,
    firstByteMs: 0,
    totalCount: 0,
    totalMs: 0,
    openPeak: 0,
    firstUsedMs: Infinity,
    lastUsedMs: 0,
    acceptedMs: 0,
    refused401: 0,
    refused403: 0,
    refused429: 0,
    refusedFromMs: 0,
    refusedToMs: 0,
  };
}

function count(row: Sums, exchange: EndedExchange): void {
  const { status, outcome, firstByteMs, totalMs, endedAtMs, deployment = 0 } = exchange;
  const statusClass = status === undefined ? 0 : Math.floor(status / 100);
  const broken = outcome !== "completed" && outcome !== "refused";
  row.requests++;
  row.statuses[(statusClass <= 5 ? statusClass : 0) as 0 | 1 | 2 | 3 | 4 | 5]++;
  if (broken) row.broken++;
  if (broken || statusClass === 5) row.errors++;
  row.requestBytes += exchange.requestBytes;
  row.responseBytes += exchange.responseBytes;
  if (outcome === "refused") {
    row.refusals++;
  } else {
    row.totalCount++;
    row.totalMs += totalMs;
    if (firstByteMs !== undefined) {
      row.firstByteCount++;
      row.firstByteMs += firstByteMs;
    }
    if (status !== undefined && !(statusClass === 2 && exchange.isForEverybody)) {
      // The end of a stream says nothing about the key: a stream may outlive it.
      countTaken(row, status, statusClass, endedAtMs - totalMs + (firstByteMs ?? totalMs));
    }
  }
  use(row, deployment, endedAtMs - totalMs, endedAtMs);
}

/** Whether the provider accepted the key: after a 2xx answer (or 101), refusals are counted anew. */
function countTaken(row: Sums, status: number, statusClass: number, answeredAtMs: number): void {
  if (statusClass === 2 || status === 101) {
    row.acceptedMs = Math.max(row.acceptedMs, answeredAtMs);
    if (row.refusedFromMs >= row.acceptedMs) return;
    row.refused401 = row.refused403 = row.refused429 = 0;
    row.refusedFromMs = row.refusedToMs = 0;
    return;
  }
  if (answeredAtMs < row.acceptedMs) return;
  if (status === 401) row.refused401++;
  else if (status === 403) row.refused403++;
  else if (status === 429) row.refused429++;
  else return;
  if (row.refusedFromMs === 0) row.refusedFromMs = answeredAtMs;
  row.refusedFromMs = Math.min(row.refusedFromMs, answeredAtMs);
  row.refusedToMs = Math.max(row.refusedToMs, answeredAtMs);
}

function use(row: Sums, deployment: number, fromMs: number, toMs: number): void {
  row.deployment = Math.max(row.deployment, deployment);
  row.firstUsedMs = Math.min(row.firstUsedMs, fromMs);
  row.lastUsedMs = Math.max(row.lastUsedMs, toMs);
}

function rowOf(row: Sums) {
  const [none, informational, success, redirection, clientError, serverError] = row.statuses;
  return {
    workspace_id: row.workspaceId,
    minute: new Date(row.minuteMs).toISOString(),
    agent_id: row.agentId,
    agent: row.agent,
    deployment: row.deployment,
    provider: row.provider,
    secret_id: row.secretId ?? null,
    version: row.version ?? null,
    requests: row.requests,
    status_2xx: success + informational, // 101 is the success of a handshake
    status_3xx: redirection,
    status_4xx: clientError,
    status_5xx: serverError,
    status_none: none,
    errors: row.errors,
    refusals: row.refusals,
    broken: row.broken,
    request_bytes: row.requestBytes,
    response_bytes: row.responseBytes,
    first_byte_count: row.firstByteCount,
    first_byte_ms: row.firstByteMs,
    total_count: row.totalCount,
    total_ms: row.totalMs,
    open_peak: row.openPeak,
    first_used_at: new Date(row.firstUsedMs).toISOString(),
    last_used_at: new Date(row.lastUsedMs).toISOString(),
    accepted_at: row.acceptedMs === 0 ? null : new Date(row.acceptedMs).toISOString(),
    refused_401: row.refused401,
    refused_403: row.refused403,
    refused_429: row.refused429,
    refused_since: row.refusedFromMs === 0 ? null : new Date(row.refusedFromMs).toISOString(),
    refused_at: row.refusedToMs === 0 ? null : new Date(row.refusedToMs).toISOString(),
  };
}
