// Keeps in Redis what agents and workspaces use of their limits, shared by all processes. Whether to admit a call is asked at once; what open
// calls did is reported in batches, one for each agent. Reports of ended calls are kept while Redis is away, within bounds.
import { setTimeout as delay } from "node:timers/promises";
import { logEnd, type Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { refusal, type LimitRefusal } from "./gcra.ts";
import { createRedisConnection } from "./redis-connection.ts";
import type { Account } from "./memory-store.ts";
import { ENTER, keysOf, ENTRY_MS, limitArguments, REASONS, SETTLE } from "./redis-script.ts";

const CLOSE_POLL_MS = 5;
const MAX_SENDING = 32;
const MAX_KEPT = 10_000;

/** An open call, as Redis keeps it. */
export interface Entry {
  readonly id: string;
  readonly websocket: boolean;
}

export interface RedisStore {
  readonly isUp: boolean;
  /** Asks whether to admit a call, and keeps its entry if so; undefined: not known. Takes at most 250 ms, never rejects. */
  enter(account: Account, entry: Entry): Promise<"entered" | LimitRefusal | undefined>;
  charge(account: Account, bytes: number): void;
  /** Renews the entry of an open call. To be called before it lapses, and after `onUp`. */
  renew(account: Account, entry: Entry): void;
  /** Removes the entry of an ended call, and charges `bytes` that were not charged yet. */
  remove(account: Account, entry: Entry, bytes: number): void;
  /** Waits for the reports that are under way, and disconnects. */
  close(): Promise<void>;
}

interface Report {
  account: Account;
  bytes: number;
  /** As SETTLE takes them: a sign and an id each. */
  readonly entries: string[];
}

export function createRedisStore(o: {
  url: string;
  log: Log;
  metrics: Metrics;
  /** Called when Redis answers again; it may have lost the entries of open calls. */
  onUp: () => void;
}): RedisStore {
  const counts = createRedisConnection({
    ...o,
    onUp: () => {
      o.onUp();
      sendSoon();
    },
  });
  const reports = new Map<string, Report>();
  let kept = 0;
  let sending = 0;
  let isSendingSoon = false;

  function add(account: Account, bytes: number, entry?: string): void {
    let found = reports.get(account.agentId);
    if (found === undefined) {
      reports.set(account.agentId, (found = { account, bytes: 0, entries: [] }));
    }
    found.account = account;
    found.bytes += bytes;
    if (entry !== undefined) {
      found.entries.push(entry);
      kept++;
    }
  }

  /** Sends at the end of this turn of the event loop: an agent's reports go together, and before the next call asks. */
  function sendSoon(): void {
    if (isSendingSoon) return;
    isSendingSoon = true;
    setImmediate(() => {
      isSendingSoon = false;
      send();
    });
  }

  function send(): void {
    for (const [agentId, one] of reports) {
      if (!counts.isUp || sending >= MAX_SENDING) return;
      reports.delete(agentId);
      kept -= one.entries.length;
      sending++;
      const sent = settle(one).finally(() => {
        sending--;
        send();
      });
      logEnd(sent, o.log, "what agents used could not be shared");
    }
  }

  async function settle({ account, bytes, entries }: Report): Promise<void> {
    const args = [String(bytes), String(ENTRY_MS), ...limitArguments(account), ...entries];
    if ((await counts.run(SETTLE, keysOf(account), args)) !== undefined) return;
    for (const entry of entries) keep(account, entry);
  }

  /** Keeps the end of a call until Redis is back; open calls are renewed then. What finds no room lapses in Redis by itself. */
  function keep(account: Account, entry: string): void {
    if (entry.startsWith("-") && kept < MAX_KEPT) add(account, 0, entry);
  }

  return {
    get isUp() {
      return counts.isUp;
    },
    async enter(account, { id, websocket }) {
      const args = [id, String(ENTRY_MS), websocket ? "1" : "0", ...limitArguments(account)];
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
    remove(account, { id }, bytes) {
      if (!counts.isUp) {
        keep(account, `-${id}`);
        return;
      }
      add(account, bytes, `-${id}`);
      sendSoon();
    },
    async close() {
      while (counts.isUp && reports.size > 0) await delay(CLOSE_POLL_MS);
      await counts.close();
    },
  };
}
