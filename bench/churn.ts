// Long churn: answers, streams, aborts and connections that vanish, for half an hour. What matters is that memory and files
// come back when it is over.
import { setTimeout as sleep } from "node:timers/promises";
import type { Loader } from "./load.ts";
import type { OwnPeer } from "./peers/x3sproxy.ts";
import { filesOf, memoryOf } from "./processes.ts";

export interface Churn {
  readonly minutes: number;
  readonly samples: readonly {
    readonly atS: number;
    readonly bytes: number;
    readonly files: number;
  }[];
  readonly before: { readonly bytes: number; readonly files: number };
  readonly after: { readonly bytes: number; readonly files: number };
  readonly openExchangesAfter: number;
  readonly requests: number;
}

/** Idle upstream sockets are kept for 50 s, and the collector wants a moment. */
const REST_MS = 75_000;

export async function measureChurn(
  peer: OwnPeer,
  loader: Loader,
  o: { minutes: number; upstreamPort: number; tell: (line: string) => void },
): Promise<Churn> {
  const door = peer.door("plain");
  const { pid } = peer;
  if (door === undefined || pid === undefined) throw new Error("x3sproxy has a door");
  const look = () => ({ bytes: memoryOf(pid), files: filesOf(pid) });
  const samples: { atS: number; bytes: number; files: number }[] = [];
  let requests = 0;
  const stream = { kind: "stream", periodMs: 20, events: 100 } as const;
  const cycle = async (): Promise<void> => {
    const closed = await loader.run(door, {
      kind: "closed",
      question: { kind: "small" },
      settings: { connections: 256, warmup: 0, ms: 3000 },
    });
    const large = await loader.run(door, {
      kind: "closed",
      question: { kind: "large" },
      settings: { connections: 32, warmup: 0, ms: 2000 },
    });
    // These leave in the middle of their streams: the client gives up long before they end.
    const cut = await loader.run(door, {
      kind: "closed",
      question: { kind: "stream", periodMs: 50, events: 1_000_000 },
      settings: { connections: 500, warmup: 0, ms: 1500 },
    });
    const whole = await loader.run(door, {
      kind: "streams",
      question: stream,
      settings: { connections: 300, warmup: 500, ms: 1500, events: stream.events },
    });
    const aborts = await loader.run(door, {
      kind: "aborts",
      question: { kind: "stream", periodMs: 5, events: 400 },
      settings: { count: 100, upstream: o.upstreamPort },
    });
    requests += closed.done + large.done + cut.connects + whole.connects + aborts.connects;
  };
  await cycle();
  await sleep(REST_MS);
  const before = look();
  const startedAt = performance.now();
  const elapsedS = (): number => (performance.now() - startedAt) / 1000;
  while (elapsedS() < o.minutes * 60) {
    await cycle();
    const sample = { atS: Math.round(elapsedS()), ...look() };
    samples.push(sample);
    o.tell(`${sample.atS} s: ${(sample.bytes / 1e6).toFixed(0)} MB, ${sample.files} files`);
  }
  await sleep(REST_MS);
  return {
    minutes: o.minutes,
    samples,
    before,
    after: look(),
    openExchangesAfter: await peer.metric("x3sproxy_open_exchanges"),
    requests,
  };
}
