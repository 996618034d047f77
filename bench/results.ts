// What a run of the bench has found: raw windows, as they are written to results/latest.json, and the figures drawn from them.
import type { Churn } from "./churn.ts";
import type { OpenStreams, PassedOn } from "./open-streams.ts";
import type { PeerName } from "./peers/peer.ts";
import type { ScopeCost } from "./scopes.ts";
import { pairedRatio, spread, type Spread } from "./statistics.ts";
import type { TokenFigures } from "./tokens.ts";
import type { Faults, Rounds, Window } from "./windows.ts";
import type { Workload } from "./workloads.ts";

export interface Measured {
  readonly workload: Workload;
  readonly rounds: Rounds;
}

export interface Results {
  readonly at: string;
  readonly quick: boolean;
  readonly machine: Readonly<Record<string, string>>;
  readonly measured: readonly Measured[];
  readonly openStreams: readonly { readonly peer: PeerName; readonly found: OpenStreams }[];
  readonly passedOn: readonly { readonly peer: PeerName; readonly found: PassedOn }[];
  readonly tokens: TokenFigures | undefined;
  readonly scopes: readonly ScopeCost[];
  /** x3sproxy's start with an existing database, milliseconds. */
  readonly startMs: number | undefined;
  readonly churn: Churn | undefined;
}

export type Figure =
  | "rate"
  | "cpuUs"
  | "postgresUs"
  | "p50"
  | "p90"
  | "p99"
  | "p999"
  | "proxyCoreBusy"
  | "loadCoreBusy";

/** One figure of a peer in all rounds. */
export function figures(
  { rounds }: Measured,
  peer: PeerName,
  figure: Figure,
): (number | undefined)[] {
  return (rounds[peer] ?? []).map((window: Window) => window[figure]);
}

/** A latency less the bare connection's in the same round. */
export function addedUs(
  measured: Measured,
  peer: PeerName,
  figure: "p50" | "p99",
): (number | undefined)[] {
  const bare = figures(measured, "bare", figure);
  return figures(measured, peer, figure).map((value, round) => {
    const base = bare[round];
    return value === undefined || base === undefined ? undefined : value - base;
  });
}

/** One peer's figure against another's, paired by round. */
export function ratio(
  measured: Measured,
  figure: Figure,
  peer: PeerName,
  against: PeerName,
): Spread | undefined {
  return pairedRatio(figures(measured, peer, figure), figures(measured, against, figure));
}

/** CPU a request of the n-th kind of token against the first, which is held to nothing. */
export function scopeRatio(cost: ScopeCost | undefined, n: number): Spread | undefined {
  const cpu = (at: number) => (cost?.windows[at]?.[1] ?? []).map(({ cpuUs }) => cpuUs);
  return pairedRatio(cpu(n), cpu(0));
}

/** All faults of a peer, summed. */
export function faultsIn(windows: readonly { readonly faults: Faults }[]): Faults {
  const sum = {
    errors: 0,
    refused: 0,
    altered: 0,
    lost: 0,
    unfinished: 0,
    alteredUp: 0,
    unswapped: 0,
  };
  for (const { faults } of windows) {
    for (const name of Object.keys(sum) as (keyof Faults)[]) sum[name] += faults[name];
  }
  return sum;
}

export interface Target {
  readonly title: string;
  readonly unit: string;
  readonly atLeast: number;
  readonly aim: number;
  readonly value: Spread | undefined;
}

/** What x3sproxy is held to, and where it stands. */
export function targets(results: Results): Target[] {
  const find = (id: string): Measured | undefined =>
    results.measured.find(({ workload }) => workload.id === id);
  const one = find("post-1");
  const many = find("post-32");
  const sse = find("sse-300");
  const cpu = (measured: Measured | undefined, against: PeerName): Spread | undefined =>
    measured && ratio(measured, "cpuUs", "x3sproxy", against);
  const added = (figure: "p50" | "p99", peer: PeerName, measured: Measured | undefined) =>
    measured === undefined ? [] : addedUs(measured, peer, figure);
  const streams = results.openStreams.filter(({ peer }) => peer === "x3sproxy");
  const passed = results.passedOn.filter(({ peer }) => peer === "x3sproxy");
  const crowd = results.tokens?.crowd;
  const own = results.measured.flatMap(({ rounds }) => rounds.x3sproxy ?? []);
  const wrong = faultsIn(own);
  const inMs = (values: readonly (number | undefined)[]) =>
    spread(values.map((us) => (us === undefined ? undefined : us / 1000)));
  return [
    {
      title: "CPU a request, against nginx, 32 connections",
      unit: "×",
      atLeast: 2.7,
      aim: 2.2,
      value: cpu(many, "nginx"),
    },
    {
      title: "added median latency, 1 connection, against nginx",
      unit: "×",
      atLeast: 1.4,
      aim: 1.2,
      value: pairedRatio(added("p50", "x3sproxy", one), added("p50", "nginx", one)),
    },
    {
      title: "CPU an SSE chunk, against nginx, 300 streams",
      unit: "×",
      atLeast: 1.8,
      aim: 1.5,
      value: cpu(sse, "nginx"),
    },
    {
      title: "CPU a request, against http-proxy-3",
      unit: "×",
      atLeast: 0.4,
      aim: 0.35,
      value: cpu(many, "http-proxy-3"),
    },
    {
      title: "CPU a request, against Portkey",
      unit: "×",
      atLeast: 0.1,
      aim: 0.08,
      value: cpu(many, "portkey"),
    },
    {
      title: "memory a stream, plain",
      unit: "kB",
      atLeast: 45,
      aim: 30,
      value: spread(streams.map(({ found }) => found.bytesEach / 1000)),
    },
    {
      title: "delay an SSE chunk adds at 15,000 chunks/s, p99",
      unit: "ms",
      atLeast: 5,
      aim: 2,
      value: inMs(added("p99", "x3sproxy", sse)),
    },
    {
      title: "response headers passed on, p99",
      unit: "ms",
      atLeast: 5,
      aim: 1,
      value: inMs(passed.map(({ found }) => found.headersUs.p99)),
    },
    {
      title: "client's abort passed on, p99",
      unit: "ms",
      atLeast: 5,
      aim: 1,
      value: inMs(passed.map(({ found }) => found.abortUs.p99)),
    },
    {
      title: `database queries that callers wait for, ${crowd?.end ?? "expired"} token, 256 connections`,
      unit: "",
      atLeast: 1,
      aim: 0,
      value: crowd && spread([crowd.waited === 0 ? 0 : crowd.queries]),
    },
    {
      title:
        "CPU a request held to rules, addresses, providers and an end, against one held to nothing",
      unit: "×",
      atLeast: 1.05,
      aim: 1.02,
      value: scopeRatio(results.scopes[0], 1),
    },
    {
      title: "lost or altered bytes, and answers that broke",
      unit: "",
      atLeast: 0,
      aim: 0,
      value: spread([
        wrong.altered + wrong.alteredUp + wrong.unswapped + wrong.lost + wrong.errors,
      ]),
    },
  ];
}
