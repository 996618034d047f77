// Ends open calls whose token is no longer live. It asks for the list of open calls only when there is a reason, so that short calls cost
// nothing here. Confirms each call's token at least every 30 s, and at once after a change; a call that can't be confirmed for 60 s is cut.
// Must never keep a call that is over.
import type { Clock } from "../platform/clock.ts";
import type { RefusalReason } from "../platform/errors.ts";
import type { TokenHash } from "../platform/ids.ts";
import { logEnd, type Log } from "../platform/log.ts";
import type { CutRecords, Sweep } from "./cut-records.ts";
import type { Grant } from "./grant.ts";
import { LookUpFailure, type LookUps } from "./look-ups.ts";
import { GRANT_TTL_MS, type TokenCache } from "./token-cache.ts";

const CONFIRM_EVERY_MS = 30_000;
// A call that ends before the next tick gets its own timer.
const TICK_MS = 1_000;
const MAX_CHECKS = 16;
// Changes within this time are handled together: a thousand changed agents cost a few walks over the list.
const GATHER_MS = 20;
// In one turn of the event loop, so that other agents' calls don't wait for long.
const MAX_CUTS = 200;

/** An open call. */
export interface OpenCall {
  /** The grant that admitted it. */
  readonly grant: Grant;
  /** Cuts it at once. `reason`: told to a client that has no answer yet. False: it was over already. */
  cut(reason: RefusalReason): boolean;
}

/** Calls `visit` with each open call; it may cut the call. */
export type EachOpenCall = (visit: (call: OpenCall) => void) => void;

/** `gone`: destroyed. */
export type AgentState = "live" | "suspended" | "gone";

/** What is known of a token with open calls. */
interface Standing {
  /** Its newest grant. */
  grant: Grant;
  /** When it was last known to be live, or within its grace; monotonic. */
  confirmedAtMs: number;
  /** Something may have changed since. */
  inDoubt: boolean;
  /** A redeployment has replaced it. */
  replaced: boolean;
  /** Since when it is replaced or expired and its calls have their grace; monotonic. */
  overSinceMs: number | undefined;
  /** Set if its agent is destroyed, or suspended while the token is replaced. */
  ended: RefusalReason | undefined;
  /** Why its calls are being cut. */
  cutFor: RefusalReason | undefined;
  calls: number;
  /** The last walk that saw one of its calls. */
  walk: number;
  queued: boolean;
  checking: boolean;
}

export interface OpenCalls {
  /** Sets the source of open calls. */
  watch(each: EachOpenCall): void;
  /** Tells of a change to the agent or workspace with this id. The cache has forgotten it already. */
  suspect(id: string): void;
  suspectAll(): void;
  /** Call it about once a second. */
  tick(): void;
  close(): void;
}

export function createOpenCalls(o: {
  cache: TokenCache;
  lookUps: Pick<LookUps, "load">;
  /** Rejects when the database fails. */
  agentState: (agentId: string) => Promise<AgentState>;
  /** How long calls may go on whose token was replaced or has expired, milliseconds. */
  graceMs: number;
  records: CutRecords;
  clock: Clock;
  log: Log;
}): OpenCalls {
  const { cache, lookUps, agentState, graceMs, clock, log } = o;
  let each: EachOpenCall = () => undefined;
  const standings = new Map<TokenHash, Standing>();
  const suspects = new Set<string>();
  let allSuspect = false;
  let walks = 0;
  let timer: NodeJS.Timeout | undefined;
  let atEnd: NodeJS.Timeout | undefined;
  let immediate: NodeJS.Immediate | undefined;
  let queue: Standing[] = [];
  let next = 0;
  let checks = 0;
  // A large sweep spreads over several turns of the event loop.
  let sweep: Sweep | undefined;

  function soon(): void {
    timer ??= setTimeout(walk, GATHER_MS).unref();
  }

  /** Walks over the open calls: cuts those that must end, and queues tokens in doubt for confirmation. */
  function walk(): void {
    stopTimers();
    walks += 1;
    each(see);
    const nowMs = clock.monotonicMs();
    let cutting = false;
    let nextEndMs = Infinity;
    for (const standing of standings.values()) {
      if (standing.walk !== walks) {
        standings.delete(standing.grant.tokenHash);
        continue;
      }
      const { agentId, workspaceId } = standing.grant;
      if (allSuspect || suspects.has(agentId) || suspects.has(workspaceId)) standing.inDoubt = true;
      judge(standing, nowMs);
      if (standing.cutFor !== undefined) cutting = true;
      else nextEndMs = Math.min(nextEndMs, endMs(standing));
    }
    suspects.clear();
    allSuspect = false;
    if (cutting) cut();
    const endsInMs = nextEndMs - nowMs;
    if (endsInMs < TICK_MS) atEnd = setTimeout(walk, Math.ceil(endsInMs)).unref();
    checkNext();
  }

  function stopTimers(): void {
    clearTimeout(timer);
    clearTimeout(atEnd);
    clearImmediate(immediate);
    timer = undefined;
    immediate = undefined;
  }

  function see({ grant }: OpenCall): void {
    let standing = standings.get(grant.tokenHash);
    if (standing === undefined) {
      standing = begin(grant);
      standings.set(grant.tokenHash, standing);
    } else if (grant.loadedAtMs > standing.grant.loadedAtMs) learn(standing, grant);
    if (standing.walk !== walks) standing.calls = 0;
    standing.walk = walks;
    standing.calls += 1;
  }

  function begin(grant: Grant): Standing {
    return {
      grant,
      confirmedAtMs: grant.loadedAtMs,
      // It may have left the cache because of a change.
      inDoubt: cache.get(grant.tokenHash, clock.monotonicMs()) === undefined,
      replaced: false,
      overSinceMs: undefined,
      ended: undefined,
      cutFor: undefined,
      calls: 0,
      walk: 0,
      queued: false,
      checking: false,
    };
  }

  /** The look-up has found its token. */
  function learn(standing: Standing, grant: Grant): void {
    if (grant.loadedAtMs < standing.grant.loadedAtMs) return;
    standing.grant = grant;
    standing.confirmedAtMs = grant.loadedAtMs;
    standing.replaced = false;
    standing.ended = undefined;
  }

  function judge(standing: Standing, nowMs: number): void {
    if (isDue(standing, nowMs)) {
      const cached = cache.get(standing.grant.tokenHash, nowMs);
      if (cached !== undefined) {
        learn(standing, cached);
        standing.inDoubt = false;
      }
    }
    const over = whyOver(standing);
    if (over === undefined) standing.overSinceMs = undefined;
    else standing.overSinceMs ??= nowMs;
    const before = standing.cutFor;
    standing.cutFor = whyCut(standing, over, nowMs);
    if (standing.cutFor === undefined) {
      if (isDue(standing, nowMs)) enqueue(standing);
    } else if (standing.cutFor !== before) {
      const { agentId, agentName, workspaceId } = standing.grant;
      const { cutFor: reason, calls: count } = standing;
      log.info("open calls are cut", { reason, count, agentId, agent: agentName, workspaceId });
    }
  }

  function isDue({ inDoubt, confirmedAtMs }: Standing, nowMs: number): boolean {
    return inDoubt || nowMs - confirmedAtMs >= CONFIRM_EVERY_MS;
  }

  /** Why new calls are refused, while open ones have their grace. */
  function whyOver({ replaced, grant }: Standing): RefusalReason | undefined {
    if (replaced) return "unknown_token";
    const nowMs = clock.nowMs();
    if (nowMs >= (grant.expiresAtMs ?? Infinity)) return "expired_token";
    return nowMs >= (grant.scope.endsAtMs ?? Infinity) ? "scope_expired" : undefined;
  }

  function whyCut(
    { grant, ended, confirmedAtMs, overSinceMs }: Standing,
    over: RefusalReason | undefined,
    nowMs: number,
  ): RefusalReason | undefined {
    if (ended !== undefined) return ended;
    // As its newest grant says; a later call would have brought a newer one.
    if (grant.suspended) return "agent_suspended";
    if (nowMs - confirmedAtMs >= GRANT_TTL_MS) return "store_unavailable";
    return nowMs - (overSinceMs ?? nowMs) >= graceMs ? over : undefined;
  }

  /** When its calls are cut unless something new is heard; monotonic. */
  function endMs({ confirmedAtMs, overSinceMs }: Standing): number {
    return Math.min(confirmedAtMs + GRANT_TTL_MS, (overSinceMs ?? Infinity) + graceMs);
  }

  function cut(): void {
    let left = MAX_CUTS;
    const current = (sweep ??= o.records.begin());
    each((call) => {
      const reason = standings.get(call.grant.tokenHash)?.cutFor;
      if (reason === undefined || left === 0) return;
      if (!call.cut(reason)) return;
      left -= 1;
      current.add(call.grant, reason);
    });
    if (left === 0) immediate = setImmediate(walk);
    else endSweep();
  }

  function endSweep(): void {
    sweep?.end();
    sweep = undefined;
  }

  function enqueue(standing: Standing): void {
    if (standing.queued) return;
    standing.queued = true;
    queue.push(standing);
  }

  /** Confirms queued tokens, a few at once. After a gap in notifications that is every token with an open call. */
  function checkNext(): void {
    while (checks < MAX_CHECKS) {
      const standing = queue[next];
      if (standing === undefined) {
        queue = [];
        next = 0;
        return;
      }
      next += 1;
      standing.queued = false;
      const isOpen = standings.get(standing.grant.tokenHash) === standing;
      if (standing.checking || !isOpen || !isDue(standing, clock.monotonicMs())) continue;
      checks += 1;
      standing.checking = true;
      const checked = check(standing).finally(() => {
        checks -= 1;
        standing.checking = false;
        checkNext();
      });
      logEnd(checked, log, "an open call can't be confirmed");
    }
  }

  async function check(standing: Standing): Promise<void> {
    const generation = cache.generation();
    const askedAtMs = clock.monotonicMs();
    const found = await lookUps.load(standing.grant.tokenHash);
    if (found instanceof LookUpFailure) return; // asked again at the next tick
    if (typeof found !== "string") {
      learn(standing, found);
      standing.inDoubt = false;
      if (found.suspended) soon();
      return;
    }
    if (found !== "unknown_token") return; // asked again at the next tick
    const state = await agentState(standing.grant.agentId).catch(() => undefined);
    if (state === undefined) return;
    if (cache.changedSince(generation, standing.grant)) {
      soon();
      return;
    }
    standing.inDoubt = false;
    standing.replaced = true;
    standing.confirmedAtMs = askedAtMs;
    if (state === "gone") standing.ended = "unknown_token";
    if (state === "suspended") standing.ended = "agent_suspended";
    soon();
  }

  return {
    watch: (source) => void (each = source),
    suspect(id) {
      suspects.add(id);
      soon();
    },
    suspectAll() {
      allSuspect = true;
      soon();
    },
    tick: walk,
    close() {
      stopTimers();
      endSweep();
      each = () => undefined;
      standings.clear();
    },
  };
}
