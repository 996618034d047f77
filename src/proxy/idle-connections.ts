// The connections of one origin that have nothing to do, and for how long they may stay so: an upstream that closes one just as a
// request goes up costs that request. Learns from when the upstream closed others. Never ends one that is in use.
import type { Clock } from "../clock.ts";

/** For less than the 60 s after which common load balancers drop theirs. */
export const KEEP_ALIVE_MS = 50_000;
// What is closed sooner was not closed for being idle: a restart, or a limit of the requests on a connection.
const LEAST_LEARNT_MS = 1000;
// The rest is for what is on its way, in both directions.
const SHARE = 0.75;
// Afterwards an upstream may show another limit. What it showed by a restart is forgotten by then, too.
const LEARNT_FOR_MS = 10 * 60_000;

export interface Idle {
  /** When it became idle, and for how long it was idle when it was last taken; monotonic, and kept here. */
  idleSinceMs: number;
  idleMs: number;
  end(): void;
}

export class IdleConnections<One extends Idle> {
  readonly #clock: Clock;
  /** The last used one at the end. */
  readonly #all: One[] = [];
  #limitMs = KEEP_ALIVE_MS;
  #learntUntilMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  push(one: One): void {
    one.idleSinceMs = this.#clock.monotonicMs();
    this.#all.push(one);
  }

  /** The last used one; undefined when there is none, or the upstream might be closing it now. */
  pop(): One | undefined {
    const one = this.#all.pop();
    if (one === undefined) return undefined;
    const nowMs = this.#clock.monotonicMs();
    one.idleMs = nowMs - one.idleSinceMs;
    if (one.idleMs <= this.#limit(nowMs)) return one;
    // All others have been idle for longer.
    for (const each of [one, ...this.#all.splice(0)]) each.end();
    return undefined;
  }

  /** Ends the one that has been idle for longest; false: there is none. */
  endOldest(): boolean {
    const oldest = this.#all.shift();
    oldest?.end();
    return oldest !== undefined;
  }

  /** Forgets one that has been closed: `byUs`, or by the upstream. */
  remove(one: One, byUs: boolean): void {
    const at = this.#all.lastIndexOf(one);
    if (at >= 0) this.#all.splice(at, 1);
    if (!byUs) this.closedAfter(this.#clock.monotonicMs() - one.idleSinceMs);
  }

  /** Learns that the upstream has closed a connection after it was idle for so long. */
  closedAfter(idleMs: number): void {
    if (idleMs < LEAST_LEARNT_MS) return;
    const nowMs = this.#clock.monotonicMs();
    this.#limitMs = Math.min(this.#limit(nowMs), idleMs * SHARE);
    this.#learntUntilMs = nowMs + LEARNT_FOR_MS;
  }

  #limit(nowMs: number): number {
    return nowMs < this.#learntUntilMs ? this.#limitMs : KEEP_ALIVE_MS;
  }
}
