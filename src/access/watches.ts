// Open connections that outlive their look-up: tells each when its token has stopped being live. Confirms every
// watched token at least each 30 s, and at once after a change; what can't be confirmed for 60 s has ended.
import type { Clock } from "../clock.ts";
import type { TokenHash } from "../ids.ts";
import type { Grant } from "./grant.ts";
import type { LookUps } from "./look-ups.ts";
import { GRANT_TTL_MS, type TokenCache } from "./token-cache.ts";

const CONFIRM_EVERY_MS = 30_000;
const MAX_CHECKS = 16;

interface Watched {
  readonly tokenHash: TokenHash;
  readonly agentId: string;
  readonly expiresAtMs: number | undefined;
  confirmedAtMs: number;
  /** Something may have happened since it was confirmed. */
  inDoubt: boolean;
  readonly listeners: Set<() => void>;
}

export interface Watches {
  /** Calls `onRevoked` once, after it has returned, unless the returned function is called first. */
  watch(grant: Grant, onRevoked: () => void): () => void;
  /** A change to this agent, already forgotten by the cache. */
  suspect(agentId: string): void;
  suspectAll(): void;
  /** To be called about once a second. */
  tick(): void;
  close(): void;
}

export function createWatches(o: { cache: TokenCache; lookUps: LookUps; clock: Clock }): Watches {
  const { cache, lookUps, clock } = o;
  const watched = new Map<TokenHash, Watched>();
  const due = new Set<Watched>();
  let checks = 0;

  function end(entry: Watched): void {
    if (watched.get(entry.tokenHash) !== entry) return;
    watched.delete(entry.tokenHash);
    due.delete(entry);
    for (const listener of entry.listeners) listener();
  }

  /** Works off what is due, a few at once: after a gap that is every open connection. */
  function checkDue(): void {
    for (const entry of due) {
      if (checks >= MAX_CHECKS) return;
      due.delete(entry);
      checks += 1;
      void check(entry).finally(() => {
        checks -= 1;
        checkDue();
      });
    }
  }

  async function check(entry: Watched): Promise<void> {
    const found = await lookUps.load(entry.tokenHash);
    if (found === "unknown_token") end(entry);
    else if (typeof found !== "string") confirm(entry, found);
  }

  function confirm(entry: Watched, grant: Grant): void {
    if (grant.loadedAtMs < entry.confirmedAtMs) return;
    entry.confirmedAtMs = grant.loadedAtMs;
    entry.inDoubt = false;
  }

  function doubt(entry: Watched): void {
    entry.inDoubt = true;
    due.add(entry);
  }

  return {
    watch(grant, onRevoked) {
      const { tokenHash } = grant;
      const entry = watched.get(tokenHash) ?? {
        tokenHash,
        agentId: grant.agentId,
        expiresAtMs: grant.expiresAtMs,
        confirmedAtMs: grant.loadedAtMs,
        inDoubt: false,
        listeners: new Set<() => void>(),
      };
      watched.set(tokenHash, entry);
      if (cache.get(tokenHash, clock.monotonicMs()) === undefined) {
        // It left the cache since it was handed out: perhaps for a change that nobody watched for yet.
        doubt(entry);
        checkDue();
      }
      const { listeners } = entry;
      const listener = (): void => onRevoked();
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0 || watched.get(tokenHash) !== entry) return;
        watched.delete(tokenHash);
        due.delete(entry);
      };
    },
    suspect(agentId) {
      for (const entry of watched.values()) if (entry.agentId === agentId) doubt(entry);
      checkDue();
    },
    suspectAll() {
      for (const entry of watched.values()) doubt(entry);
      checkDue();
    },
    tick() {
      const nowMs = clock.monotonicMs();
      for (const entry of watched.values()) {
        const cached = cache.get(entry.tokenHash, nowMs);
        if (cached !== undefined) confirm(entry, cached);
        const ageMs = nowMs - entry.confirmedAtMs;
        const expired = entry.expiresAtMs !== undefined && clock.nowMs() >= entry.expiresAtMs;
        if (expired || ageMs >= GRANT_TTL_MS) end(entry);
        else if (entry.inDoubt || ageMs >= CONFIRM_EVERY_MS) due.add(entry);
      }
      checkDue();
    },
    close() {
      watched.clear();
      due.clear();
    },
  };
}
