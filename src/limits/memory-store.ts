// Keeps in memory what limited agents and workspaces use of their limits, in this process. Bounded; what is idle is forgotten. The hot path:
// must never wait.
import {
  bytesWaitMs,
  Meter,
  refusal,
  requestWaitMs,
  type LimitReason,
  type LimitRefusal,
} from "./gcra.ts";

/** How many agents and workspaces are kept. */
const MAX_USAGES = 20_000;
/** What a client is told to wait for a stream to end: nobody knows when one will. */
const STREAM_WAIT_MS = 1000;

/** Null: no limit. */
export interface Limits {
  readonly requestsPerMinute: number | null;
  /** Calls open at once, WebSocket connections included. A count, not a rate. */
  readonly openStreams: number | null;
  /** Bytes of requests and answers together. */
  readonly bytesPerMinute: number | null;
}

export interface WorkspaceLimits extends Limits {
  readonly openWebsockets: number | null;
}

/** An agent and its workspace, with their limits. A grant is one. */
export interface Account {
  readonly workspaceId: string;
  readonly agentId: string;
  readonly limits: Limits;
  /** Shared by all agents of the workspace. */
  readonly workspaceLimits: WorkspaceLimits;
}

/** What one agent, or one workspace, uses. */
export class Usage {
  /** The newest limits that are known. */
  limits: WorkspaceLimits;
  open = 0;
  websockets = 0;
  readonly #requests = new Meter();
  readonly #bytes = new Meter();

  constructor(limits: WorkspaceLimits) {
    this.limits = limits;
  }

  /** Calls `refuse` for each limit that one more call would exceed. */
  check(
    isWebSocket: boolean,
    nowMs: number,
    refuse: (reason: LimitReason, waitMs: number) => void,
  ): void {
    const { requestsPerMinute, openStreams, bytesPerMinute, openWebsockets } = this.limits;
    if (requestsPerMinute !== null) {
      const aheadMs = this.#requests.aheadMs(requestsPerMinute, nowMs);
      const waitMs = requestWaitMs(aheadMs, requestsPerMinute);
      if (waitMs > 0) refuse("rate_limited", waitMs);
    }
    if (
      this.open >= (openStreams ?? Infinity) ||
      (isWebSocket && this.websockets >= (openWebsockets ?? Infinity))
    ) {
      refuse("too_many_streams", STREAM_WAIT_MS);
    }
    if (bytesPerMinute !== null) {
      const waitMs = bytesWaitMs(this.#bytes.aheadMs(bytesPerMinute, nowMs));
      if (waitMs > 0) refuse("too_many_bytes", waitMs);
    }
  }

  enter(isWebSocket: boolean, nowMs: number): void {
    const { requestsPerMinute } = this.limits;
    if (requestsPerMinute !== null) this.#requests.add(1, requestsPerMinute, nowMs);
    this.open++;
    if (isWebSocket) this.websockets++;
  }

  leave(isWebSocket: boolean): void {
    this.open--;
    if (isWebSocket) this.websockets--;
  }

  charge(bytes: number, nowMs: number): void {
    const { bytesPerMinute } = this.limits;
    if (bytesPerMinute !== null) this.#bytes.add(bytes, bytesPerMinute, nowMs);
  }

  isIdle(nowMs: number): boolean {
    return this.open === 0 && this.#requests.isIdle(nowMs) && this.#bytes.isIdle(nowMs);
  }
}

/** Why one more call is refused, or undefined. The first reason counts, the agent's before the workspace's, with the longest wait. */
export function checkUsage(
  agent: Usage,
  workspace: Usage,
  isWebSocket: boolean,
  nowMs: number,
): LimitRefusal | undefined {
  let reason: LimitReason | undefined;
  let longestMs = 0;
  const refuse = (one: LimitReason, waitMs: number): void => {
    reason ??= one;
    longestMs = Math.max(longestMs, waitMs);
  };
  agent.check(isWebSocket, nowMs, refuse);
  workspace.check(isWebSocket, nowMs, refuse);
  return reason && refusal(reason, longestMs);
}

export class MemoryStore {
  readonly #byId = new Map<string, Usage>();

  /** What the agent and the workspace use, with the limits that the grant has. */
  of({
    agentId,
    limits,
    workspaceId,
    workspaceLimits,
  }: Account): readonly [agent: Usage, workspace: Usage] {
    return [
      this.#find(agentId, { ...limits, openWebsockets: null }),
      this.#find(workspaceId, workspaceLimits),
    ];
  }

  /** Forgets what is idle. */
  sweep(nowMs: number): void {
    for (const [id, usage] of this.#byId) if (usage.isIdle(nowMs)) this.#byId.delete(id);
  }

  #find(id: string, limits: WorkspaceLimits): Usage {
    let usage = this.#byId.get(id);
    if (usage === undefined) {
      if (this.#byId.size >= MAX_USAGES) this.#dropOne();
      this.#byId.set(id, (usage = new Usage(limits)));
    }
    usage.limits = limits;
    return usage;
  }

  #dropOne(): void {
    for (const [id, { open }] of this.#byId) {
      if (open > 0) continue;
      this.#byId.delete(id);
      return;
    }
  }
}
