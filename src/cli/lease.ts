// A lease of an agent, held by the command line: renewed each 30 s, and ended when the command has ended. Its token is only in memory.
import type { Clock } from "../platform/clock.ts";
import type { DeployedAgent } from "../contract/index.ts";
import { call } from "./api.ts";
import { Failure, quoted } from "./failure.ts";

const LIFE_MS = 120_000;
const RENEW_EVERY_MS = 30_000;
const RETRY_EVERY_MS = 5_000;
const DEADLINE_MS = 5_000;

export interface Lease {
  readonly agent: DeployedAgent;
  readonly token: string;
  /** By provider. */
  readonly baseUrls: Readonly<Record<string, string>>;
  /** Ends the lease and its token. If the service doesn't answer, the lease expires by itself. */
  end(): Promise<void>;
}

/** Takes a lease and renews it. If it can't be renewed, calls `warn` with a sentence. Throws Failure. */
export async function takeLease(
  name: string,
  { clock, warn }: { clock: Clock; warn: (sentence: string) => void },
): Promise<Lease> {
  let sentAtMs = clock.monotonicMs();
  const taken = await call("POST /agents/:name/leases", { params: { name }, body: {} }).catch(
    (error: unknown) => {
      if (!(error instanceof Failure) || error.code !== "agent_not_found") throw error;
      throw new Failure(
        "agent_not_found",
        `There is no agent ${quoted(name)}. Make it first: x3sproxy agent deploy ${quoted(name)}`,
      );
    },
  );
  const own = { params: { name, id: taken.lease.id }, deadlineMs: DEADLINE_MS };
  let timer: NodeJS.Timeout | undefined;
  let renewing: Promise<void> | undefined;
  let warned = false;
  let over = false;

  const renewIn = (ms: number): void => {
    if (over) return;
    timer = setTimeout(() => {
      renewing = renew();
    }, ms);
  };
  const lost = (why: string): void => {
    if (over) return;
    over = true;
    warn(`The lease of agent ${name} has ended: ${why}. Calls with its token are refused.`);
  };
  async function renew(): Promise<void> {
    const nowMs = clock.monotonicMs();
    try {
      await call("PUT /agents/:name/leases/:id", own);
      sentAtMs = nowMs;
      renewIn(RENEW_EVERY_MS);
    } catch (error) {
      const { code, message } = error instanceof Failure ? error : new Failure("failed", "");
      if (code === "lease_not_found" || code === "agent_not_found") {
        lost("it lapsed, or the agent was redeployed or destroyed");
      } else if (clock.monotonicMs() - sentAtMs >= LIFE_MS) {
        lost("it could not be renewed");
      } else {
        if (!warned && !over) {
          warn(`The lease of agent ${name} can't be renewed; trying on until it ends. ${message}`);
        }
        warned = true;
        renewIn(RETRY_EVERY_MS);
      }
    }
  }

  renewIn(RENEW_EVERY_MS);
  return {
    agent: taken.agent,
    token: taken.token,
    baseUrls: taken.baseUrls,
    async end() {
      const wasLive = !over;
      over = true;
      clearTimeout(timer);
      await renewing;
      if (!wasLive) return;
      await call("DELETE /agents/:name/leases/:id", own).catch((error: unknown) => {
        if (error instanceof Failure && error.code.endsWith("_not_found")) return;
        warn("The lease could not be ended; it lapses by itself within two minutes.");
      });
    },
  };
}
