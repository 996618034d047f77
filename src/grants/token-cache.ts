// What is remembered of tokens, and for how long. Never gives out an entry past its time, and zeroes the secrets
// of each grant that leaves. Knows nothing of the database: look-ups.ts fills it.
import { LRUCache } from "lru-cache";
import type { TokenHash } from "../ids.ts";
import { wipeGrant, type Grant } from "./grant.ts";
import { createUnknownTokens } from "./unknown-tokens.ts";

/** No grant is served for longer than this after the query that brought it was started. */
export const GRANT_TTL_MS = 60_000;
const UNKNOWN_TTL_MS = 5_000;
const MAX_GRANTS = 20_000;
const MAX_UNKNOWN = 10_000;
const MAX_REMEMBERED_CHANGES = 10_000;
const MAX_LATELY = 50_000;

export interface CacheState {
  readonly grants: number;
  readonly unknown: number;
  readonly evicted: Readonly<Record<"change" | "expiry" | "room", number>>;
}

export interface TokenCache {
  /** A grant that is still good at `nowMs` (monotonic), or undefined. */
  get(tokenHash: TokenHash, nowMs: number): Grant | undefined;
  /** Whether the token was found not to exist, for the same network, a moment before `nowMs` and with no change since. */
  isUnknown(tokenHash: TokenHash, network: string, nowMs: number): boolean;
  /**
   * The workspace of a token that was live when it was last looked up, whatever has been forgotten since; undefined: not known. It says
   * nothing of whether the token still is: no more than a place in a queue may follow from it.
   */
  latelyOf(tokenHash: TokenHash): string | undefined;
  put(grant: Grant): void;
  /** `askedAtMs`: when the query that did not find it was started, for `network`. */
  putUnknown(tokenHash: TokenHash, network: string, askedAtMs: number): void;
  /** Something about the agent or workspace with this id has changed: whatever depends on it leaves. */
  forget(id: string): void;
  /** Anything may have changed: everything leaves. */
  forgetAll(): void;
  /** Lets go of what is past its time. */
  sweep(nowMs: number): void;
  /** Counts changes. A look-up notes it at its start and asks `changedSince` at its end. */
  generation(): number;
  /** How full it is, and how many grants have left it since it was made, and why. */
  state(): CacheState;
  /** Whether what a look-up found may have changed since that generation. Not found: whether anything has. */
  changedSince(generation: number, found: Grant | undefined): boolean;
}

export function createTokenCache(): TokenCache {
  let generation = 0;
  // The generation of the last change to an agent or workspace; for ids that are not in it, not after changedAllAt.
  const changedAt = new Map<string, number>();
  let changedAllAt = 0;
  const hashesOf = new Map<string, Set<TokenHash>>();
  let leaving: Grant[] = [];
  const evicted = { change: 0, expiry: 0, room: 0 };

  const grants = new LRUCache<TokenHash, Grant>({
    max: MAX_GRANTS,
    dispose: (grant, _tokenHash, why) => {
      if (why === "evict") evicted.room++;
      for (const id of [grant.agentId, grant.workspaceId]) unlink(id, grant.tokenHash);
      retire(grant);
    },
  });
  const unknown = createUnknownTokens(MAX_UNKNOWN);
  // Of tokens that were live lately: their workspace. The one that was not looked up for the longest time is the first.
  const lately = new Map<TokenHash, string>();

  function noteLive({ tokenHash, workspaceId }: Grant): void {
    lately.delete(tokenHash);
    lately.set(tokenHash, workspaceId);
    if (lately.size <= MAX_LATELY) return;
    for (const oldest of lately.keys()) {
      lately.delete(oldest);
      return;
    }
  }

  function link(id: string, tokenHash: TokenHash): void {
    const hashes = hashesOf.get(id);
    if (hashes === undefined) hashesOf.set(id, new Set([tokenHash]));
    else hashes.add(tokenHash);
  }

  function unlink(id: string, tokenHash: TokenHash): void {
    const hashes = hashesOf.get(id);
    hashes?.delete(tokenHash);
    if (hashes?.size === 0) hashesOf.delete(id);
  }

  // A grant may have been handed out in this very turn of the event loop, to callers that run only in its
  // microtasks. They inject at once when they run, so a turn later nobody uses it any more.
  function retire(grant: Grant): void {
    if (leaving.push(grant) > 1) return;
    setImmediate(() => {
      const left = leaving;
      leaving = [];
      for (const each of left) wipeGrant(each);
    });
  }

  function remove(tokenHash: TokenHash, why: "change" | "expiry"): void {
    if (grants.delete(tokenHash)) evicted[why]++;
  }

  return {
    get(tokenHash, nowMs) {
      const grant = grants.get(tokenHash);
      if (grant === undefined || nowMs < grant.untilMs) return grant;
      remove(tokenHash, "expiry");
      return undefined;
    },
    isUnknown: (tokenHash, network, nowMs) => unknown.has(tokenHash, network, nowMs),
    latelyOf: (tokenHash) => lately.get(tokenHash),
    put(grant) {
      noteLive(grant);
      grants.set(grant.tokenHash, grant);
      for (const id of [grant.agentId, grant.workspaceId]) link(id, grant.tokenHash);
    },
    putUnknown(tokenHash, network, askedAtMs) {
      lately.delete(tokenHash);
      remove(tokenHash, "change");
      unknown.add(tokenHash, network, askedAtMs + UNKNOWN_TTL_MS);
    },
    forget(id) {
      generation += 1;
      unknown.clear();
      if (changedAt.size >= MAX_REMEMBERED_CHANGES) {
        changedAt.clear();
        changedAllAt = generation;
      }
      changedAt.set(id, generation);
      for (const tokenHash of [...(hashesOf.get(id) ?? [])]) remove(tokenHash, "change");
    },
    forgetAll() {
      generation += 1;
      changedAt.clear();
      changedAllAt = generation;
      evicted.change += grants.size;
      grants.clear();
      unknown.clear();
    },
    sweep(nowMs) {
      const past = [...grants.values()].filter((each) => nowMs >= each.untilMs);
      for (const grant of past) remove(grant.tokenHash, "expiry");
      unknown.sweep(nowMs);
    },
    state: () => ({ grants: grants.size, unknown: unknown.size, evicted: { ...evicted } }),
    generation: () => generation,
    changedSince(since, found) {
      if (changedAllAt > since) return true;
      if (found === undefined) return generation > since;
      return [found.agentId, found.workspaceId].some((id) => (changedAt.get(id) ?? 0) > since);
    },
  };
}
