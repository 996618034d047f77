// Limits of agents and workspaces: whether one more call is let in, and what those that are open use. Counted in the memory of this
// process, and in Redis where there is one; a call is never refused because Redis is away. No business of grants that are not `limited`.
import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { LimitRefusal } from "./gcra.ts";
import { LEASE_MS } from "./redis-script.ts";
import { createSharedLimits, type Lease } from "./redis-store.ts";
import { checkUses, Uses, type Account, type Use } from "./memory-store.ts";

const TICK_MS = 1000;
const RENEW_EVERY_MS = LEASE_MS / 3;

/** A call as its limits see it. */
export interface LimitedCall {
  readonly websocket: boolean;
  /** So far; read each second and at the end. */
  readonly requestBytes: number;
  readonly responseBytes: number;
}

/** A call that was let in. */
export interface Admission {
  /** To be called when the call has ended, however. */
  end(): void;
}

export interface Limiter {
  /** For a grant that is `limited`: lets a call in, or says why not. Later only where Redis is asked, within 250 ms. Never rejects. */
  enter(
    of: Account,
    call: LimitedCall,
  ): Admission | LimitRefusal | Promise<Admission | LimitRefusal>;
  close(): Promise<void>;
}

/** `redisUrl`: by which processes share their counts; undefined: each counts for itself. */
export function createLimiter(o: {
  redisUrl: string | undefined;
  clock: Clock;
  log: Log;
  metrics: Metrics;
}): Limiter {
  const { redisUrl, clock, metrics } = o;
  const uses = new Uses();
  const open: Open[] = [];
  const prefix = randomBytes(8).toString("hex");
  let count = 0;
  let renewedAtMs = clock.monotonicMs();
  const shared =
    redisUrl === undefined ? undefined : createSharedLimits({ ...o, url: redisUrl, onUp: renew });

  class Open implements Admission {
    readonly #of: Account;
    readonly #call: LimitedCall;
    readonly #lease: Lease;
    readonly #agent: Use;
    readonly #workspace: Use;
    /** Whether Redis may know of it. */
    #isShared: boolean;
    /** Where it stands in `open`; -1: it has ended. */
    #at: number;
    #chargedBytes = 0;

    constructor(of: Account, call: LimitedCall, lease: Lease, isShared: boolean) {
      this.#of = of;
      this.#call = call;
      this.#lease = lease;
      this.#isShared = isShared;
      [this.#agent, this.#workspace] = uses.of(of);
      const nowMs = clock.monotonicMs();
      this.#agent.enter(lease.websocket, nowMs);
      this.#workspace.enter(lease.websocket, nowMs);
      this.#at = open.push(this) - 1;
    }

    charge(): void {
      const bytes = this.#takeBytes();
      if (bytes > 0) shared?.charge(this.#account(), bytes);
    }

    renew(): void {
      this.#isShared = true;
      shared?.renew(this.#account(), this.#lease);
    }

    end(): void {
      const last = open.at(-1);
      if (this.#at < 0 || last === undefined) return;
      open[this.#at] = last;
      last.#at = this.#at;
      this.#at = -1;
      open.pop();
      const bytes = this.#takeBytes();
      this.#agent.leave(this.#lease.websocket);
      this.#workspace.leave(this.#lease.websocket);
      if (this.#isShared) shared?.release(this.#account(), this.#lease, bytes);
      else if (bytes > 0) shared?.charge(this.#account(), bytes);
    }

    /** Counts what has come since the last time here; returns how many bytes that are. */
    #takeBytes(): number {
      const { requestBytes, responseBytes } = this.#call;
      const bytes = requestBytes + responseBytes - this.#chargedBytes;
      if (bytes === 0) return 0;
      this.#chargedBytes += bytes;
      const nowMs = clock.monotonicMs();
      this.#agent.charge(bytes, nowMs);
      this.#workspace.charge(bytes, nowMs);
      return bytes;
    }

    /** With the limits of today: a stream may have outlived those that it began with. */
    #account(): Account {
      const { workspaceId, agentId } = this.#of;
      const { limits } = this.#agent;
      return { workspaceId, agentId, limits, workspaceLimits: this.#workspace.limits };
    }
  }

  function enterAlone(
    of: Account,
    call: LimitedCall,
    lease: Lease,
    isShared: boolean,
  ): Admission | LimitRefusal {
    const [agent, workspace] = uses.of(of);
    return (
      checkUses(agent, workspace, lease.websocket, clock.monotonicMs()) ??
      new Open(of, call, lease, isShared)
    );
  }

  async function enterShared(
    of: Account,
    call: LimitedCall,
    lease: Lease,
  ): Promise<Admission | LimitRefusal> {
    const answer = await shared?.enter(of, lease);
    if (answer === "entered") return new Open(of, call, lease, true);
    if (answer !== undefined) return answer;
    metrics.limitsFallbacks.inc();
    const entered = enterAlone(of, call, lease, true);
    if ("reason" in entered) shared?.release(of, lease, 0);
    return entered;
  }

  function renew(): void {
    renewedAtMs = clock.monotonicMs();
    for (const one of open) one.renew();
  }

  const timer = setInterval(() => {
    const nowMs = clock.monotonicMs();
    for (const one of open) one.charge();
    uses.sweep(nowMs);
    if (nowMs - renewedAtMs >= RENEW_EVERY_MS) renew();
  }, TICK_MS).unref();

  return {
    enter(of, call) {
      const lease = { id: `${prefix}-${(++count).toString(36)}`, websocket: call.websocket };
      if (shared?.isUp === true) return enterShared(of, call, lease);
      if (shared !== undefined) metrics.limitsFallbacks.inc();
      return enterAlone(of, call, lease, false);
    },
    async close() {
      clearInterval(timer);
      await shared?.close();
    },
  };
}
