// The cache of tokens. Never returns an entry past its time, and zeroes the secrets of each grant that leaves. Knows nothing of the
// database: look-ups.ts fills it.
import { LRUCache } from "lru-cache";
import type { TokenHash } from "../platform/ids.ts";
import { wipeGrant, type Grant } from "./grant.ts";
import { createUnknownTokens } from "./unknown-tokens.ts";

/** No grant is served longer than this after its query began. */
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
  /** The grant if it may be served at `nowMs` (monotonic), else undefined. */
  get(tokenHash: TokenHash, nowMs: number): Grant | undefined;
  /** Whether the token was found not to exist shortly before `nowMs`, for the same network, with no change since. */
  isUnknown(tokenHash: TokenHash, network: string, nowMs: number): boolean;
  /**
   * The workspace of a token that was live when it was last looked up; undefined: not known. The token may have ended since, so this may
   * decide about its place in a queue only.
   */
  latelyOf(tokenHash: TokenHash): string | undefined;
  put(grant: Grant): void;
  /** Remembers that a token doesn't exist. `askedAtMs`: when the query began, for `network`. */
  putUnknown(tokenHash: TokenHash, network: string, askedAtMs: number): void;
  /** Drops everything that depends on the agent or workspace with this id: it has changed. */
  forget(id: string): void;
  /** Drops everything: anything may have changed. */
  forgetAll(): void;
  /** Drops entries past their time. */
  sweep(nowMs: number): void;
  /** The generation: counts changes. A look-up notes it at its start and calls `changedSince` at its end. */
  generation(): number;
  /** How full it is, and how many grants have left it so far, by reason. */
  state(): CacheState;
  /** Whether what a look-up found may have changed since that generation. If it found nothing: whether anything has. */
  changedSince(generation: number, found: Grant | undefined): boolean;
}

export function createTokenCache(): TokenCache {
  let generation = 0;
  // The generation of the last change to an agent or workspace. Ids that aren't in it: changedAllAt or earlier.
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
  // The workspaces of tokens that were live lately, least recently looked up first.
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

  // Callers may have got this grant in this turn of the event loop and run in its microtasks. They inject at once, so it is wiped one turn
  // later.
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
