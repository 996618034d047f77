// How the data plane ends: it takes no new connections, gives open calls time, and then cuts them. Must never end an answer so that it
// looks complete.
import { setTimeout as delay } from "node:timers/promises";
import type { Grants, OpenCall } from "../grants/index.ts";
import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import type { Answer } from "./answer.ts";
import type { Connections } from "./connections.ts";
import type { DeadlineClock, Waiting } from "./deadlines.ts";
import type { Exchanges } from "./exchange.ts";
import type { Listener } from "./listener.ts";

const POLL_MS = 50;
// Before the drain, some connections were told keep-alive. For this long after its answer, such a connection may bring another request.
const KEPT_MS = 1000;
// How long a cut call may take to tell its client.
const CUT_WITHIN_MS = 2000;

export interface Draining {
  readonly listener: Listener;
  readonly connections: Connections;
  readonly exchanges: Exchanges;
  readonly deadlineClock: DeadlineClock<Waiting & OpenCall>;
  readonly deadlines: Pick<Config["deadlines"], "drainMs" | "drainDelayMs">;
  readonly grants: Grants;
  readonly clock: Clock;
}

/**
 * Ends each connection after its next answer. After the drain delay, takes no new connections. At the drain deadline, cuts the calls that
 * are still open. Resolves when no connection is left.
 */
export async function drain(o: Draining): Promise<void> {
  const { listener, connections, exchanges, clock } = o;
  const { drainMs, drainDelayMs } = o.deadlines;
  const { server } = listener;
  const untilMs = clock.monotonicMs() + drainMs;
  const begun = connections.drain((visit) => listener.each(visit));
  await delay(Math.min(drainDelayMs, drainMs));
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  await untilIdle({ ...o, begun, untilMs, keptMs: drainDelayMs === 0 ? 0 : KEPT_MS });
  cutAll(o);
  const goneMs = clock.monotonicMs() + CUT_WITHIN_MS;
  while (exchanges.open > 0 && clock.monotonicMs() < goneMs) await delay(POLL_MS);
  await listener.endConnections();
  await closed;
}

interface Waited extends Draining {
  /** Answers that have already promised keep-alive. */
  readonly begun: readonly Answer[];
  readonly untilMs: number;
  readonly keptMs: number;
}

/** Waits until no call is open and no kept connection may bring another one, but no longer than `untilMs`. */
async function untilIdle({ listener, exchanges, clock, ...o }: Waited): Promise<void> {
  let kept = o.begun;
  let keptUntilMs = 0;
  for (;;) {
    const nowMs = clock.monotonicMs();
    const open = kept.filter((answer) => !answer.closed);
    if (open.length < kept.length) keptUntilMs = nowMs + o.keptMs;
    kept = open;
    if (nowMs >= o.untilMs || (exchanges.open === 0 && nowMs >= keptUntilMs)) return;
    if (nowMs >= keptUntilMs) listener.server.closeIdleConnections();
    await delay(POLL_MS);
  }
}

function cutAll({ grants, deadlineClock }: Draining): void {
  const sweep = grants.beginCutting();
  deadlineClock.each((open) => {
    if (open.cut("stopping")) sweep.add(open.grant, "stopping");
  });
  sweep.end();
}
