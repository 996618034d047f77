// Admits calls within the limits of their agent and workspace, and charges open calls for what they carry. Counts in the memory of this
// process, or in Redis if there is one. Must never refuse a call because Redis is away, nor be asked for a grant that is not `limited`.
import { randomBytes } from "node:crypto";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { LimitRefusal } from "./gcra.ts";
import { ENTRY_MS } from "./redis-script.ts";
import { createRedisStore, type Entry } from "./redis-store.ts";
import { checkUsage, MemoryStore, type Account, type Usage } from "./memory-store.ts";

const TICK_MS = 1000;
const RENEW_EVERY_MS = ENTRY_MS / 3;

/** What limits need to know of a call. */
export interface LimitedCall {
  readonly websocket: boolean;
  /** Bytes so far, read each second and at the end. */
  readonly requestBytes: number;
  readonly responseBytes: number;
}

/** A call that was admitted. */
export interface Admission {
  /** Must be called when the call has ended, however it ended. */
  end(): void;
}

export interface Limiter {
  /**
   * Admits a call of a grant that is `limited`, or says why not. A promise only if Redis is asked, settled within 250 ms; limits in memory
   * answer at once, since a wait costs a part of each request (request-handler.ts has the figure). Never rejects.
   */
  enter(
    of: Account,
    call: LimitedCall,
  ): Admission | LimitRefusal | Promise<Admission | LimitRefusal>;
  close(): Promise<void>;
}

/** `redisUrl`: where processes share their counts; undefined: each process counts for itself. */
export function createLimiter(o: {
  redisUrl: string | undefined;
  clock: Clock;
  log: Log;
  metrics: Metrics;
}): Limiter {
  const { redisUrl, clock, metrics } = o;
  const memory = new MemoryStore();
  const open: AdmittedCall[] = [];
  const prefix = randomBytes(8).toString("hex");
  let count = 0;
  let renewedAtMs = clock.monotonicMs();
  const redis =
    redisUrl === undefined ? undefined : createRedisStore({ ...o, url: redisUrl, onUp: renew });

  class AdmittedCall implements Admission {
    readonly #of: Account;
    readonly #call: LimitedCall;
    readonly #entry: Entry;
    readonly #agent: Usage;
    readonly #workspace: Usage;
    /** Whether Redis may have an entry of it. */
    #isInRedis: boolean;
    /** Its index in `open`; -1: it has ended. */
    #index: number;
    #chargedBytes = 0;

    constructor(of: Account, call: LimitedCall, entry: Entry, isInRedis: boolean) {
      this.#of = of;
      this.#call = call;
      this.#entry = entry;
      this.#isInRedis = isInRedis;
      [this.#agent, this.#workspace] = memory.of(of);
      const nowMs = clock.monotonicMs();
      this.#agent.enter(entry.websocket, nowMs);
      this.#workspace.enter(entry.websocket, nowMs);
      this.#index = open.push(this) - 1;
    }

    charge(): void {
      const bytes = this.#takeBytes();
      if (bytes > 0) redis?.charge(this.#account(), bytes);
    }

    renew(): void {
      this.#isInRedis = true;
      redis?.renew(this.#account(), this.#entry);
    }

    end(): void {
      const last = open.at(-1);
      if (this.#index < 0 || last === undefined) return;
      open[this.#index] = last;
      last.#index = this.#index;
      this.#index = -1;
      open.pop();
      const bytes = this.#takeBytes();
      this.#agent.leave(this.#entry.websocket);
      this.#workspace.leave(this.#entry.websocket);
      if (this.#isInRedis) redis?.remove(this.#account(), this.#entry, bytes);
      else if (bytes > 0) redis?.charge(this.#account(), bytes);
    }

    /** Charges what it has carried since the last time, and returns how many bytes that are. */
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

    /** With the current limits: they may have changed since the call began. */
    #account(): Account {
      const { workspaceId, agentId } = this.#of;
      const { limits } = this.#agent;
      return { workspaceId, agentId, limits, workspaceLimits: this.#workspace.limits };
    }
  }

  function admitInMemory(
    of: Account,
    call: LimitedCall,
    entry: Entry,
    isInRedis: boolean,
  ): Admission | LimitRefusal {
    const [agent, workspace] = memory.of(of);
    return (
      checkUsage(agent, workspace, entry.websocket, clock.monotonicMs()) ??
      new AdmittedCall(of, call, entry, isInRedis)
    );
  }

  async function admitInRedis(
    of: Account,
    call: LimitedCall,
    entry: Entry,
  ): Promise<Admission | LimitRefusal> {
    const answer = await redis?.enter(of, entry);
    if (answer === "entered") return new AdmittedCall(of, call, entry, true);
    if (answer !== undefined) return answer;
    metrics.limitsFallbacks.inc();
    const entered = admitInMemory(of, call, entry, true);
    if ("reason" in entered) redis?.remove(of, entry, 0);
    return entered;
  }

  function renew(): void {
    renewedAtMs = clock.monotonicMs();
    for (const one of open) one.renew();
  }

  const timer = setInterval(() => {
    const nowMs = clock.monotonicMs();
    for (const one of open) one.charge();
    memory.sweep(nowMs);
    if (nowMs - renewedAtMs >= RENEW_EVERY_MS) renew();
  }, TICK_MS).unref();

  return {
    enter(of, call) {
      const entry = { id: `${prefix}-${(++count).toString(36)}`, websocket: call.websocket };
      if (redis?.isUp === true) return admitInRedis(of, call, entry);
      if (redis !== undefined) metrics.limitsFallbacks.inc();
      return admitInMemory(of, call, entry, false);
    },
    async close() {
      clearInterval(timer);
      await redis?.close();
    },
  };
}
