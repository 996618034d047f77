// Sums up in memory what agents called, on whose behalf, and which uses may be new, until it is written. Bounded: beyond the bounds, calls
// are only counted. Paths and addresses are only here and in the tables, and must never be in a metric.
import { networkOf } from "../platform/addresses.ts";

/** The fields that are read of an ended exchange. */
export interface EndedCall {
  readonly workspaceId: string | undefined;
  readonly agentId: string | undefined;
  readonly agent: string | undefined;
  readonly provider: string | undefined;
  readonly method: string;
  /** Raw. */
  readonly path: string | undefined;
  /** The canonical path, which rules compare. Empty: not recorded. */
  readonly recordedPath: string;
  readonly address: string | undefined;
  readonly context: Readonly<Record<string, string>> | undefined;
  /** Whether it was sent to the upstream, which answered or broke off. */
  readonly wentUp: boolean;
  readonly endedAtMs: number;
}

export type UseKind = "provider" | "path" | "address";

/** Rows to write. The keys are the columns that x3sproxy.add_calls reads. */
export interface CallRows {
  readonly calls: readonly CallRow[];
  readonly contexts: readonly ContextRow[];
  readonly uses: readonly UseRow[];
}

type CallRow = {
  readonly workspace_id: string;
  readonly agent_id: string;
  readonly hour: string;
  readonly provider: string;
  readonly method: string;
  readonly path: string;
  readonly address: string;
  readonly requests: number;
};

type ContextRow = {
  readonly workspace_id: string;
  readonly minute: string;
  readonly agent: string;
  readonly provider: string;
  readonly context: Readonly<Record<string, string>>;
  readonly requests: number;
};

type UseRow = {
  readonly workspace_id: string;
  readonly agent_id: string;
  readonly kind: UseKind;
  readonly value: string;
  readonly address: string | null;
  readonly first_used_at: string;
};

interface Sum {
  readonly hourMs: number;
  readonly workspaceId: string;
  readonly agentId: string;
  readonly provider: string;
  readonly method: string;
  /** The value of the latest call. */
  rawPath: string | undefined;
  readonly path: string;
  readonly address: string;
  requests: number;
}

type WaitingContext = { -readonly [Field in keyof ContextRow]: ContextRow[Field] };

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const ROWS_OF_AGENT = 200;
const CONTEXTS_OF_MINUTE = 5;
const MOST_RECENT = 6;
/** Some 10 MB. */
const MAX_ROWS = 20_000;
const MAX_KNOWN = 50_000;

export class CallLedger {
  readonly #maxRows: number;
  readonly #sums = new Map<string, Sum>();
  /** The number of rows of each agent in the hour. */
  readonly #ofAgent = new Map<string, number>();
  /** Each agent's latest rows, by its id. Mostly the next call belongs to one of them. */
  readonly #recent = new Map<string, Sum[]>();
  readonly #contexts = new Map<string, WaitingContext>();
  readonly #ofMinute = new Map<string, number>();
  readonly #uses = new Map<string, UseRow>();
  /** Uses that the database has already. */
  readonly #known = new Set<string>();

  constructor(maxRows = MAX_ROWS) {
    this.#maxRows = maxRows;
  }

  get size(): number {
    return this.#sums.size + this.#contexts.size + this.#uses.size;
  }

  /** Adds exchanges to the hour in which they ended, and their contexts to that minute. */
  add(ended: readonly EndedCall[]): void {
    for (const call of ended) {
      const { workspaceId, agentId, agent } = call;
      if (workspaceId === undefined || agentId === undefined || agent === undefined) continue;
      if (call.context !== undefined) {
        this.#noteContext(workspaceId, agentId, agent, call, call.context);
      }
      if (call.wentUp && call.provider !== undefined) {
        this.#sum(workspaceId, agentId, call.provider, call).requests++;
      }
    }
  }

  /** Takes out the oldest rows, at most `limit` of each kind. Call `written` once they are written. */
  take(limit: number): CallRows {
    const taken = {
      calls: takeFrom(this.#sums, limit).map(rowOf),
      contexts: takeFrom(this.#contexts, limit),
      uses: takeFrom(this.#uses, limit),
    };
    this.#recent.clear();
    if (this.#sums.size === 0) this.#ofAgent.clear();
    if (this.#contexts.size === 0) this.#ofMinute.clear();
    return taken;
  }

  /** Notes that the database has these rows. Their uses need not be sent again. */
  written({ uses }: CallRows): void {
    for (const { agent_id, kind, value } of uses) {
      if (this.#known.size >= MAX_KNOWN) this.#known.clear();
      this.#known.add(keyOf(agent_id, kind, value));
    }
  }

  #sum(workspaceId: string, agentId: string, provider: string, call: EndedCall): Sum {
    const { method, path: rawPath, address = "", endedAtMs } = call;
    const hourMs = endedAtMs - (endedAtMs % HOUR_MS);
    let recent = this.#recent.get(agentId);
    if (recent === undefined) this.#recent.set(agentId, (recent = []));
    for (const sum of recent) {
      if (
        sum.rawPath === rawPath &&
        sum.hourMs === hourMs &&
        sum.provider === provider &&
        sum.method === method &&
        sum.address === address
      ) {
        return sum;
      }
    }
    const path = call.recordedPath;
    const key = `${hourMs} ${agentId} ${provider} ${method} ${address} ${path}`;
    let sum = this.#sums.get(key);
    if (sum === undefined) {
      const hour = `${hourMs} ${agentId}`;
      const rows = this.#ofAgent.get(hour) ?? 0;
      this.#noteUses(workspaceId, agentId, { provider, method, path, address }, endedAtMs);
      if (rows >= ROWS_OF_AGENT || this.#sums.size >= this.#maxRows) {
        return this.#rest(workspaceId, agentId, hourMs);
      }
      this.#ofAgent.set(hour, rows + 1);
      sum = {
        ...{ hourMs, workspaceId, agentId, provider, method, rawPath, path, address },
        requests: 0,
      };
      this.#sums.set(key, sum);
    }
    sum.rawPath = rawPath;
    if (!recent.includes(sum)) recent.push(sum);
    if (recent.length > MOST_RECENT) recent.shift();
    return sum;
  }

  /** The row for an agent's calls beyond the bound: at most one an hour. */
  #rest(workspaceId: string, agentId: string, hourMs: number): Sum {
    const key = `${hourMs} ${agentId}`;
    let sum = this.#sums.get(key);
    if (sum === undefined) {
      const nothing = { provider: "", method: "", rawPath: undefined, path: "", address: "" };
      sum = { hourMs, workspaceId, agentId, ...nothing, requests: 0 };
      this.#sums.set(key, sum);
    }
    return sum;
  }

  #noteContext(
    workspaceId: string,
    agentId: string,
    agent: string,
    { provider = "", endedAtMs }: EndedCall,
    given: Readonly<Record<string, string>>,
  ): void {
    const minuteMs = endedAtMs - (endedAtMs % MINUTE_MS);
    const ofMinute = `${minuteMs} ${agentId} ${provider}`;
    const names = Object.keys(given).sort();
    const key = `${ofMinute} ${JSON.stringify(given, names)}`;
    const known = this.#contexts.get(key);
    if (known !== undefined) {
      known.requests++;
      return;
    }
    const count = this.#ofMinute.get(ofMinute) ?? 0;
    if (count >= CONTEXTS_OF_MINUTE || this.#contexts.size >= this.#maxRows) return;
    this.#ofMinute.set(ofMinute, count + 1);
    this.#contexts.set(key, {
      workspace_id: workspaceId,
      minute: new Date(minuteMs).toISOString(),
      agent,
      provider,
      context: given,
      requests: 1,
    });
  }

  #noteUses(
    workspaceId: string,
    agentId: string,
    call: { provider: string; method: string; path: string; address: string },
    atMs: number,
  ): void {
    const { provider, method, path, address } = call;
    const found: readonly (readonly [UseKind, string | undefined])[] = [
      ["provider", provider],
      ["path", shapeOf(method, provider, path)],
      ["address", networkOf(address)],
    ];
    for (const [kind, value] of found) {
      if (value === undefined) continue;
      const key = keyOf(agentId, kind, value);
      if (this.#known.has(key) || this.#uses.has(key) || this.#uses.size >= this.#maxRows) continue;
      this.#uses.set(key, {
        workspace_id: workspaceId,
        agent_id: agentId,
        kind,
        value,
        address: address === "" ? null : address,
        first_used_at: new Date(atMs).toISOString(),
      });
    }
  }
}

function keyOf(agentId: string, kind: UseKind, value: string): string {
  return `${agentId} ${kind} ${value}`;
}

function takeFrom<T>(rows: Map<string, T>, limit: number): T[] {
  const taken: T[] = [];
  for (const [key, row] of rows) {
    if (taken.length === limit) break;
    taken.push(row);
    rows.delete(key);
  }
  return taken;
}

function rowOf({ workspaceId, agentId, hourMs, ...sum }: Sum): CallRow {
  return {
    workspace_id: workspaceId,
    agent_id: agentId,
    hour: new Date(hourMs).toISOString(),
    provider: sum.provider,
    method: sum.method,
    path: sum.path,
    address: sum.address,
    requests: sum.requests,
  };
}

// The shape of a path, without its ids: an agent that reads another file does nothing new. Pure.

const LONGEST = 200;
const ID_FROM = 8;
const LONG_FROM = 32;
// The verb after a model's name, as in models/<name>:generatecontent.
const VERB = /:[a-z-]+$/;

/** Method, provider and canonical path (empty: not known), each segment that looks like an id as `*`. At most 200 characters. */
export function shapeOf(method: string, provider: string, path: string): string {
  if (path === "") return `${method} /${provider}/…`;
  const segments = path.split("/").map((segment) => {
    const verb = VERB.exec(segment)?.[0] ?? "";
    return isId(segment.slice(0, segment.length - verb.length)) ? `*${verb}` : segment;
  });
  const shape = `${method} /${provider}${segments.join("/")}`;
  return shape.length <= LONGEST ? shape : `${shape.slice(0, LONGEST - 1).toWellFormed()}…`;
}

/** A number, a word of 8 characters and more with a digit in it (a model's name mostly is one, too), or one of 32 and more. */
function isId(text: string): boolean {
  return (
    /^\d+$/.test(text) || (text.length >= ID_FROM && /\d/.test(text)) || text.length >= LONG_FROM
  );
}
