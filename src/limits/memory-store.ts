// What agents and workspaces with limits have in use, as far as this process knows: in memory, bounded, forgotten when idle.
import {
  bytesWaitMs,
  Meter,
  refusal,
  requestWaitMs,
  type LimitReason,
  type LimitRefusal,
} from "./gcra.ts";

const MAX_USES = 20_000;
/** How soon another try is worth it where nobody knows when a stream ends. */
const STREAM_WAIT_MS = 1000;

/** Null: no limit. */
export interface Limits {
  readonly requestsPerMinute: number | null;
  /** Calls under way at once, WebSocket connections among them. */
  readonly openStreams: number | null;
  /** Of requests and answers together. */
  readonly bytesPerMinute: number | null;
}

export interface WorkspaceLimits extends Limits {
  readonly openWebsockets: number | null;
}

/** Whose limits, and which: a grant is one. */
export interface Account {
  readonly workspaceId: string;
  readonly agentId: string;
  readonly limits: Limits;
  /** Of all agents of the workspace together. */
  readonly workspaceLimits: WorkspaceLimits;
}

/** Of one agent, or of one workspace. */
export class Use {
  /** The newest that are known. */
  limits: WorkspaceLimits;
  open = 0;
  websockets = 0;
  readonly #requests = new Meter();
  readonly #bytes = new Meter();

  constructor(limits: WorkspaceLimits) {
    this.limits = limits;
  }

  /** Tells `refuse` of each limit that one more call would break. */
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

/** Why one more call of this agent is refused, or undefined: the agent's limits first, then the workspace's, and the longest wait. */
export function checkUses(
  agent: Use,
  workspace: Use,
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

export class Uses {
  readonly #byId = new Map<string, Use>();

  /** The agent's and the workspace's, with the limits that the grant says. */
  of({
    agentId,
    limits,
    workspaceId,
    workspaceLimits,
  }: Account): readonly [agent: Use, workspace: Use] {
    return [
      this.#find(agentId, { ...limits, openWebsockets: null }),
      this.#find(workspaceId, workspaceLimits),
    ];
  }

  /** Forgets those that nothing is in use of. */
  sweep(nowMs: number): void {
    for (const [id, use] of this.#byId) if (use.isIdle(nowMs)) this.#byId.delete(id);
  }

  #find(id: string, limits: WorkspaceLimits): Use {
    let use = this.#byId.get(id);
    if (use === undefined) {
      if (this.#byId.size >= MAX_USES) this.#dropOne();
      this.#byId.set(id, (use = new Use(limits)));
    }
    use.limits = limits;
    return use;
  }

  #dropOne(): void {
    for (const [id, { open }] of this.#byId) {
      if (open > 0) continue;
      this.#byId.delete(id);
      return;
    }
  }
}
