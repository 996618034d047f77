// Grants with limits, and a limiter that counts in memory by a clock that a test holds.
import { createLimiter, type Admission, type Limiter } from "../../src/limits/index.ts";
import type { WorkspaceLimits } from "../../src/limits/index.ts";
import { createLog } from "../../src/log.ts";
import { createMetrics } from "../../src/metrics.ts";
import { createManualClock } from "../grants/manual-clock.ts";

export const NONE: WorkspaceLimits = {
  requestsPerMinute: null,
  openStreams: null,
  bytesPerMinute: null,
  openWebsockets: null,
};

export type LimitedGrant = Parameters<Limiter["enter"]>[0];

/** What of a grant its limits need. */
export function limitedGrant(o: {
  agent?: Partial<WorkspaceLimits>;
  workspace?: Partial<WorkspaceLimits>;
  agentId?: string;
  workspaceId?: string;
}): LimitedGrant {
  return {
    agentId: o.agentId ?? "agent",
    workspaceId: o.workspaceId ?? "workspace",
    limits: { ...NONE, ...o.agent },
    workspaceLimits: { ...NONE, ...o.workspace },
  };
}

export interface Refused {
  readonly reason: string;
  readonly retryAfterS: number;
}

export interface Counter {
  readonly limiter: Limiter;
  advance(ms: number): void;
  /** One more call: what it is refused with, or its end, after so many bytes. */
  enter(
    grant: LimitedGrant,
    o?: { websocket?: boolean },
  ): Refused | { readonly reason: undefined; readonly end: (bytes?: number) => void };
}

export function createCounter(): Counter {
  const clock = createManualClock();
  const log = createLog({ level: "silent" });
  const limiter = createLimiter({ redisUrl: undefined, clock, log, metrics: createMetrics() });
  return {
    limiter,
    advance: (ms) => clock.advance(ms),
    enter(grant, { websocket = false } = {}) {
      const call = { websocket, requestBytes: 0, responseBytes: 0 };
      const entered = limiter.enter(grant, call);
      if (entered instanceof Promise) throw new Error("it is known at once");
      if ("reason" in entered) return entered;
      const admission: Admission = entered;
      return {
        reason: undefined,
        end(bytes = 0) {
          call.requestBytes = Math.floor(bytes / 3);
          call.responseBytes = bytes - call.requestBytes;
          admission.end();
        },
      };
    },
  };
}
