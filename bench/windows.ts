// One workload over all peers, in interleaved windows: each round gives each peer one window, so that what disturbs the
// machine for a while disturbs them all.
import type { LoadResult, Loader } from "./load.ts";
import type { Peer, PeerName } from "./peers/peer.ts";
import { coreTimes, cpuOf, LOAD_CORE, PROXY_CORE } from "./processes.ts";
import type { Workload } from "./workloads.ts";

/** What one window showed. Times in microseconds, shares of a core from 0 to 1. */
export interface Window {
  /** Requests, chunks or frames a second. */
  readonly rate: number;
  /** CPU of the proxy's whole process tree for one of them; 0 for the bare connection. */
  readonly cpuUs: number;
  /** The part of it that a Postgres in the tree took. */
  readonly postgresUs: number;
  readonly p50: number | undefined;
  readonly p90: number | undefined;
  readonly p99: number | undefined;
  readonly p999: number | undefined;
  readonly max: number | undefined;
  readonly proxyCoreBusy: number;
  readonly loadCoreBusy: number;
  /** Whatever should be none: errors, other answers than 200, altered, lost, broken off, unfinished. */
  readonly faults: Faults;
}

export interface Faults {
  readonly errors: number;
  readonly refused: number;
  readonly altered: number;
  readonly lost: number;
  readonly unfinished: number;
  /** Requests that reached the upstream with another body. */
  readonly alteredUp: number;
  /** Requests that reached the upstream without the real key, or with the token. */
  readonly unswapped: number;
}

/** What the upstream has counted since it was last asked. */
export interface UpstreamCounts {
  readonly altered: number;
  readonly strangers: number;
  readonly leaked: number;
}

export type Rounds = Partial<Record<PeerName, Window[]>>;

/** Measures all rounds of a workload. Peers that can't do it are left out. */
export async function measureRounds(
  workload: Workload,
  peers: readonly Peer[],
  o: {
    readonly loader: Loader;
    readonly askUpstream: () => Promise<UpstreamCounts>;
    readonly tell: (peer: PeerName, round: number, window: Window) => void;
  },
): Promise<Rounds> {
  const rounds: Rounds = {};
  for (let round = 0; round < workload.rounds; round++) {
    for (const peer of peers) {
      const window = await measureWindow(workload, peer, o.loader);
      if (window === undefined) continue;
      const { altered, strangers, leaked } = await o.askUpstream();
      const faults = { ...window.faults, alteredUp: altered, unswapped: strangers + leaked };
      (rounds[peer.name] ??= []).push({ ...window, faults });
      o.tell(peer.name, round, window);
    }
  }
  return rounds;
}

async function measureWindow(
  workload: Workload,
  peer: Peer,
  loader: Loader,
): Promise<Window | undefined> {
  const door = peer.door(workload.route);
  if (door === undefined || workload.without.includes(peer.name)) return undefined;
  const look = () => ({
    atMs: performance.now(),
    cores: coreTimes(),
    cpu: peer.pid === undefined ? { ownUs: 0, postgresUs: 0 } : cpuOf(peer.pid),
  });
  let before = look();
  let after = before;
  const { connections, warmupMs, windowMs, rate, events } = workload;
  const result = await loader.run(
    door,
    {
      kind: workload.kind,
      question: workload.question,
      settings: {
        connections,
        warmup: warmupMs,
        ms: windowMs,
        ...(rate === undefined ? {} : { rate }),
        ...(events === undefined ? {} : { events }),
      },
    },
    { begin: () => (before = look()), end: () => (after = look()) },
  );
  const perSecond = (result.count / result.ms) * 1000;
  const seconds = (after.atMs - before.atMs) / 1000;
  const each = (us: number): number => us / seconds / perSecond;
  const busy = (core: number): number => {
    const from = before.cores[core];
    const to = after.cores[core];
    if (from === undefined || to === undefined || to.all === from.all) return 0;
    return (to.busy - from.busy) / (to.all - from.all);
  };
  const { p50, p90, p99, p999, max } = result.latencyUs;
  return {
    rate: perSecond,
    cpuUs: each(after.cpu.ownUs + after.cpu.postgresUs - before.cpu.ownUs - before.cpu.postgresUs),
    postgresUs: each(after.cpu.postgresUs - before.cpu.postgresUs),
    p50,
    p90,
    p99,
    p999,
    max,
    proxyCoreBusy: busy(PROXY_CORE),
    loadCoreBusy: busy(LOAD_CORE),
    faults: faultsOf(result),
  };
}

export function faultsOf(result: LoadResult): Faults {
  return {
    errors: result.errors,
    refused: result.refused,
    altered: result.altered,
    lost: result.lost + result.broken,
    unfinished: result.unfinished,
    alteredUp: 0,
    unswapped: 0,
  };
}
