// The work that is measured, one row each, and how long in a quick and in a full run.
import type { LoadKind } from "./load.ts";
import type { Question } from "./messages.ts";
import type { PeerName, Route } from "./peers/peer.ts";

export interface Workload {
  readonly id: string;
  readonly title: string;
  /** What one of the counted things is. */
  readonly unit: "request" | "chunk" | "frame";
  readonly kind: LoadKind;
  readonly route: Route;
  readonly connections: number;
  readonly warmupMs: number;
  readonly windowMs: number;
  readonly rounds: number;
  readonly question: Question;
  /** Requests a second, where that is given. */
  readonly rate?: number;
  /** Events of a stream, where there are streams. */
  readonly events?: number;
  /** Those that are left out, because it takes them nowhere. */
  readonly without: readonly PeerName[];
}

const EVENT_PERIOD_MS = 20;
const RATES: readonly number[] = [500, 2000, 8000];

/** Rows of a run, in the order in which they are measured. A quick run has the main ones, and shorter. */
export function listWorkloads(quick: boolean): Workload[] {
  const small: Question = { kind: "small" };
  const closed = (
    id: string,
    title: string,
    connections: number,
    question: Question,
    o: { main?: boolean; route?: Route } = {},
  ): Workload => ({
    id,
    title,
    unit: "request",
    kind: "closed",
    route: o.route ?? "plain",
    connections,
    warmupMs: quick ? 150 : 500,
    windowMs: quick ? (o.main === true ? 800 : 500) : 2500,
    rounds: quick ? (o.main === true ? 4 : 2) : o.main === true ? 5 : 3,
    question,
    without: [],
  });
  const streams = (count: number): Workload => {
    const warmupMs = quick ? 500 : 1000;
    const windowMs = quick ? 800 : 2500;
    const events = Math.ceil((warmupMs + windowMs) / EVENT_PERIOD_MS);
    return {
      ...closed(`sse-${count}`, `(c) SSE, ${count} streams, 50 events/s each`, count, {
        kind: "stream",
        periodMs: EVENT_PERIOD_MS,
        events,
      }),
      unit: "chunk",
      kind: "streams",
      warmupMs,
      windowMs,
      rounds: quick ? 3 : count === 300 ? 5 : 3,
      events,
    };
  };
  const open = (rate: number): Workload => ({
    ...closed(`rate-${rate}`, `1 KB POST at ${rate}/s, open loop, 64 connections`, 64, small),
    kind: "open",
    rate,
  });
  const main = { main: true };
  const one = closed("post-1", "(a) 1 KB POST, 1 connection", 1, small, main);
  const some = closed("post-32", "(a) 1 KB POST, 32 connections", 32, small, main);
  const many = closed("post-256", "(a) 1 KB POST, 256 connections", 256, small);
  const sdk = closed(
    "sdk-32",
    "(a) the same with an SDK's and OpenAI's headers, 32 connections",
    32,
    { kind: "small", sdk: true },
  );
  const prompts = closed("prompt-8", "(b) 150 kB prompt, 8 connections", 8, { kind: "large" });
  const tls = closed("tls-32", "(e) upstream over TLS, HTTP/1.1, 32 connections", 32, small, {
    route: "tls",
  });
  const h2 = closed("h2-32", "(e) upstream over TLS, HTTP/2 offered, 32 connections", 32, small, {
    route: "h2",
  });
  const frames: Workload = {
    ...closed("frames", "(g) WebSocket, 256 B there and back, 32 connections", 32, {
      kind: "websocket",
    }),
    unit: "frame",
    kind: "frames",
    without: ["portkey"], // it has them only for its own realtime route
  };
  const inBoth = [one, some, streams(300), sdk, prompts, tls, frames];
  if (quick) return [...inBoth, open(2000)];
  return [...inBoth, h2, many, streams(100), streams(1000), ...RATES.map(open)];
}
