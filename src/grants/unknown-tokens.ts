// A cache of tokens that don't exist, so that asking again costs no query. Each network has its own part, so that a flood from one doesn't
// push out the entries of others. Must never be asked about a token that may be live.
import type { TokenHash } from "../platform/ids.ts";

export interface UnknownTokens {
  readonly size: number;
  has(tokenHash: TokenHash, network: string, nowMs: number): boolean;
  /** Adds one; if no room is left, it replaces the network's oldest one. */
  add(tokenHash: TokenHash, network: string, untilMs: number): void;
  sweep(nowMs: number): void;
  clear(): void;
}

export function createUnknownTokens(max: number): UnknownTokens {
  // By network, oldest first. No inner map is empty.
  const networks = new Map<string, Map<TokenHash, number>>();
  let size = 0;

  function remove(network: string, own: Map<TokenHash, number>, tokenHash: TokenHash): void {
    if (own.delete(tokenHash)) size -= 1;
    if (own.size === 0) networks.delete(network);
  }

  return {
    get size() {
      return size;
    },
    has: (tokenHash, network, nowMs) =>
      nowMs < (networks.get(network)?.get(tokenHash) ?? -Infinity),
    add(tokenHash, network, untilMs) {
      const own = networks.get(network) ?? new Map<TokenHash, number>();
      remove(network, own, tokenHash);
      if (own.size >= max - size) {
        const oldest = own.keys().next();
        if (oldest.done === true) return;
        remove(network, own, oldest.value);
      }
      own.set(tokenHash, untilMs);
      networks.set(network, own);
      size += 1;
    },
    sweep(nowMs) {
      for (const [network, own] of networks) {
        for (const [tokenHash, untilMs] of own) {
          if (nowMs < untilMs) break;
          remove(network, own, tokenHash);
        }
      }
    },
    clear() {
      networks.clear();
      size = 0;
    },
  };
}
