// How the data plane ends: no new connections, time for what is open, then an honest cut. Must never end an answer so that it
// looks whole.
import { setTimeout as delay } from "node:timers/promises";
import type { Access, OpenCall } from "../access/index.ts";
import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import type { Answer } from "./answer.ts";
import type { Connections } from "./connections.ts";
import type { DeadlineClock, Waiting } from "./deadlines.ts";
import type { Exchanges } from "./exchange.ts";
import type { Listener } from "./listener.ts";

const POLL_MS = 50;
// A connection that was told, before the drain, that it is kept: for so long after its answer the next request may come on it.
const KEPT_MS = 1000;
// How long what was cut may take to say goodbye.
const CUT_WITHIN_MS = 2000;

export interface Draining {
  readonly listener: Listener;
  readonly connections: Connections;
  readonly exchanges: Exchanges;
  readonly deadlineClock: DeadlineClock<Waiting & OpenCall>;
  readonly deadlines: Pick<Config["deadlines"], "drainMs" | "drainDelayMs">;
  readonly access: Access;
  readonly clock: Clock;
}

/**
 * Ends each connection with its next answer, after the drain delay takes no new ones, lets what is open end within the drain
 * deadline, then cuts it. Resolves when no connection is left.
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
  /** Answers whose connections were already told that they are kept. */
  readonly begun: readonly Answer[];
  readonly untilMs: number;
  readonly keptMs: number;
}

/** Until nothing is under way, and no connection that was told so may still bring a request; at the latest until `untilMs`. */
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

function cutAll({ access, deadlineClock }: Draining): void {
  const sweep = access.beginCutting();
  deadlineClock.each((open) => {
    if (open.cut("stopping")) sweep.add(open.grant, "stopping");
  });
  sweep.end();
}
