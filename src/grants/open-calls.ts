// Calls that outlive their look-up: ends those whose token has stopped being live. It asks for what is open when there is reason
// to, so that a call which is over soon costs nothing here. Confirms the token of each at least every 30 s, and at once after
// a change; what can't be confirmed for 60 s has ended. Must never keep a call that is over.
import type { Clock } from "../clock.ts";
import type { RefusalReason } from "../errors.ts";
import type { TokenHash } from "../ids.ts";
import { logEnd, type Log } from "../log.ts";
import type { CutRecords, Sweep } from "./cut-records.ts";
import type { Grant } from "./grant.ts";
import { LookUpFailure, type LookUps } from "./look-ups.ts";
import { GRANT_TTL_MS, type TokenCache } from "./token-cache.ts";

const CONFIRM_EVERY_MS = 30_000;
// Ends that come before the next tick are not left to it.
const TICK_MS = 1_000;
const MAX_CHECKS = 16;
// What happens at about the same time is worked off together: a change of each of a thousand agents is few walks.
const GATHER_MS = 20;
// In one turn of the event loop: other agents' calls wait no longer than for these.
const MAX_CUTS = 200;

/** A call under way. */
export interface OpenCall {
  /** What it was admitted with. */
  readonly grant: Grant;
  /** Ends it at once. `reason`: for a client that has nothing of an answer yet. False: it was over already. */
  cut(reason: RefusalReason): boolean;
}

/** Shows each call under way to `visit`, which may cut it. */
export type EachOpenCall = (visit: (call: OpenCall) => void) => void;

/** `gone`: destroyed. */
export type AgentState = "live" | "suspended" | "gone";

/** What is known of the token of one or more open calls. */
interface Standing {
  /** The newest that is known. */
  grant: Grant;
  /** Monotonic: as of when it is known to be live, or within its grace. */
  confirmedAtMs: number;
  /** Something may have happened since it was confirmed. */
  inDoubt: boolean;
  /** Its agent has another token. */
  replaced: boolean;
  /** Monotonic: since when it is replaced or past its end, and its calls live on in their grace. */
  overSinceMs: number | undefined;
  /** Its agent is destroyed, or suspended and the token replaced. */
  ended: RefusalReason | undefined;
  /** Why its calls are being cut. */
  cutFor: RefusalReason | undefined;
  calls: number;
  /** The last walk that saw a call of it. */
  walk: number;
  queued: boolean;
  checking: boolean;
}

export interface OpenCalls {
  /** Names the source of open calls. */
  watch(each: EachOpenCall): void;
  /** A change to the agent or workspace with this id, already forgotten by the cache. */
  suspect(id: string): void;
  suspectAll(): void;
  /** To be called about once a second. */
  tick(): void;
  close(): void;
}

export function createOpenCalls(o: {
  cache: TokenCache;
  lookUps: Pick<LookUps, "load">;
  /** A rejection means that the database failed. */
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
  // Goes on over the turns of the event loop that a large one needs.
  let sweep: Sweep | undefined;

  function soon(): void {
    timer ??= setTimeout(walk, GATHER_MS).unref();
  }

  /** Looks at each open call's token, ends what has to end, and has confirmed what is in doubt. */
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
      // If it has left the cache, then perhaps for a change.
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

  /** Its token was found. */
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

  /** Why it is good for no new call, though its open ones have their grace. */
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
    // Its newest grant says so; a call that came after its end would have brought a newer one.
    if (grant.suspended) return "agent_suspended";
    if (nowMs - confirmedAtMs >= GRANT_TTL_MS) return "store_unavailable";
    return nowMs - (overSinceMs ?? nowMs) >= graceMs ? over : undefined;
  }

  /** Monotonic: when its calls are cut if nothing more is heard of it. */
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

  /** Works off what is to be confirmed, a few at once: after a gap that is every token with an open call. */
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
