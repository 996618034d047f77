// What many open, slow streams take in memory, and how soon headers and a client's end are passed on.
import { setTimeout as sleep } from "node:timers/promises";
import type { Loader, Quantiles } from "./load.ts";
import type { Peer } from "./peers/peer.ts";
import { memoryOf } from "./processes.ts";
import { faultsOf, type Faults } from "./windows.ts";

export interface OpenStreams {
  readonly streams: number;
  readonly bytesEach: number;
  readonly beforeBytes: number;
  readonly openBytes: number;
  readonly faults: Faults;
}

export interface PassedOn {
  /** From the upstream's write to the client's read. */
  readonly headersUs: Quantiles;
  /** From the client's close to the upstream's notice of it. */
  readonly abortUs: Quantiles;
  /** Ends that the upstream never heard of. */
  readonly neverHeard: number;
}

const SLOW_PERIOD_MS = 1000;
const ABORT_PERIOD_MS = 5;

/** Opens `streams` streams of one event a second, and compares memory at the end with memory before. */
export async function measureOpenStreams(
  peer: Peer,
  loader: Loader,
  o: { streams: number; warmupMs: number; windowMs: number },
): Promise<OpenStreams | undefined> {
  const door = peer.door("plain");
  if (door === undefined || peer.pid === undefined) return undefined;
  const { pid } = peer;
  // Code is compiled and pools are filled before the count begins.
  await loader.run(door, {
    kind: "closed",
    question: { kind: "small" },
    settings: { connections: 32, warmup: 0, ms: 700 },
  });
  await sleep(300);
  const beforeBytes = memoryOf(pid);
  let openBytes = 0;
  const events = Math.ceil((o.warmupMs + o.windowMs) / SLOW_PERIOD_MS);
  const result = await loader.run(
    door,
    {
      kind: "streams",
      question: { kind: "stream", periodMs: SLOW_PERIOD_MS, events },
      settings: { connections: o.streams, warmup: o.warmupMs, ms: o.windowMs, events },
    },
    { end: () => (openBytes = memoryOf(pid)) },
  );
  return {
    streams: o.streams,
    bytesEach: (openBytes - beforeBytes) / o.streams,
    beforeBytes,
    openBytes,
    faults: faultsOf(result),
  };
}

/** One stream at a time, closed by the client at its first event. */
export async function measurePassedOn(
  peer: Peer,
  loader: Loader,
  o: { streams: number; upstreamPort: number },
): Promise<PassedOn | undefined> {
  const door = peer.door("plain");
  if (door === undefined) return undefined;
  const result = await loader.run(door, {
    kind: "aborts",
    question: { kind: "stream", periodMs: ABORT_PERIOD_MS, events: 400 },
    settings: { count: o.streams, upstream: o.upstreamPort },
  });
  return { headersUs: result.headersUs, abortUs: result.latencyUs, neverHeard: result.lost };
}
