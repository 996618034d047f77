// What this process tells Redis of the calls that are under limits, and asks it. Questions go at once, one for each call; news of calls
// goes in batches of an agent's, and is kept until Redis has it where others would wait for it.
import { setTimeout as delay } from "node:timers/promises";
import { logEnd, type Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { refusal, type LimitRefusal } from "./gcra.ts";
import { createSharedCounts } from "./redis-connection.ts";
import type { Account } from "./memory-store.ts";
import { ENTER, keysOf, LEASE_MS, limitArguments, REASONS, SETTLE } from "./redis-script.ts";

const CLOSE_POLL_MS = 5;
const MAX_SENDING = 32;
const MAX_KEPT = 10_000;

/** A call that is under way, for Redis. */
export interface Lease {
  readonly id: string;
  readonly websocket: boolean;
}

export interface SharedLimits {
  readonly isUp: boolean;
  /** Asks, and holds `lease` if the call is let in; undefined: not known. Within 250 ms, never rejects. */
  enter(account: Account, lease: Lease): Promise<"entered" | LimitRefusal | undefined>;
  charge(account: Account, bytes: number): void;
  /** The call goes on: to be said more often than leases lapse, and after `onUp`. */
  renew(account: Account, lease: Lease): void;
  /** The call has ended, after `bytes` that were not charged yet. */
  release(account: Account, lease: Lease, bytes: number): void;
  /** Lets what is under way end, and disconnects. */
  close(): Promise<void>;
}

interface News {
  account: Account;
  bytes: number;
  /** As SETTLE takes them. */
  readonly leases: string[];
}

export function createSharedLimits(o: {
  url: string;
  log: Log;
  metrics: Metrics;
  /** Redis answers, and may know nothing of what is under way. */
  onUp: () => void;
}): SharedLimits {
  const counts = createSharedCounts({
    ...o,
    onUp: () => {
      o.onUp();
      sendSoon();
    },
  });
  const news = new Map<string, News>();
  let kept = 0;
  let sending = 0;
  let isSendingSoon = false;

  function add(account: Account, bytes: number, lease?: string): void {
    let found = news.get(account.agentId);
    if (found === undefined) {
      news.set(account.agentId, (found = { account, bytes: 0, leases: [] }));
    }
    found.account = account;
    found.bytes += bytes;
    if (lease !== undefined) {
      found.leases.push(lease);
      kept++;
    }
  }

  /** At the end of this turn of the event loop: what an agent's calls did in it goes together, and before any call that comes after. */
  function sendSoon(): void {
    if (isSendingSoon) return;
    isSendingSoon = true;
    setImmediate(() => {
      isSendingSoon = false;
      send();
    });
  }

  function send(): void {
    for (const [agentId, one] of news) {
      if (!counts.isUp || sending >= MAX_SENDING) return;
      news.delete(agentId);
      kept -= one.leases.length;
      sending++;
      const sent = settle(one).finally(() => {
        sending--;
        send();
      });
      logEnd(sent, o.log, "what agents used could not be shared");
    }
  }

  async function settle({ account, bytes, leases }: News): Promise<void> {
    const args = [String(bytes), String(LEASE_MS), ...limitArguments(account), ...leases];
    if ((await counts.run(SETTLE, keysOf(account), args)) !== undefined) return;
    for (const lease of leases) keep(account, lease);
  }

  /** For when Redis is there again: what has ended alone, since the rest is renewed then. What finds no room lapses. */
  function keep(account: Account, lease: string): void {
    if (lease.startsWith("-") && kept < MAX_KEPT) add(account, 0, lease);
  }

  return {
    get isUp() {
      return counts.isUp;
    },
    async enter(account, { id, websocket }) {
      const args = [id, String(LEASE_MS), websocket ? "1" : "0", ...limitArguments(account)];
      const answer = await counts.run(ENTER, keysOf(account), args);
      if (!Array.isArray(answer)) return undefined;
      const [code, waitMs] = answer as unknown[];
      const reason = REASONS[Number(code) - 1];
      return reason === undefined ? "entered" : refusal(reason, Number(waitMs));
    },
    charge(account, bytes) {
      if (!counts.isUp) return;
      add(account, bytes);
      sendSoon();
    },
    renew(account, { id, websocket }) {
      if (!counts.isUp) return;
      add(account, 0, (websocket ? "~" : "+") + id);
      sendSoon();
    },
    release(account, { id }, bytes) {
      if (!counts.isUp) {
        keep(account, `-${id}`);
        return;
      }
      add(account, bytes, `-${id}`);
      sendSoon();
    },
    async close() {
      while (counts.isUp && news.size > 0) await delay(CLOSE_POLL_MS);
      await counts.close();
    },
  };
}
