// Tokens that were found not to exist a moment ago, so that asking again costs no query. Each network that asks has a part of its own:
// a flood from one pushes out nothing that another would be spared by. Must never be asked about a token that may be live.
import type { TokenHash } from "../ids.ts";

export interface UnknownTokens {
  readonly size: number;
  has(tokenHash: TokenHash, network: string, nowMs: number): boolean;
  /** Takes the place of the network's oldest one when its part is full: as much as is left for all. */
  add(tokenHash: TokenHash, network: string, untilMs: number): void;
  sweep(nowMs: number): void;
  clear(): void;
}

export function createUnknownTokens(max: number): UnknownTokens {
  // Of each network, the oldest first. None is empty.
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
