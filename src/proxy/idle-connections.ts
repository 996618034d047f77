// The idle connections to one origin, and how long they may stay idle. When an upstream closes one just as a request goes up, that request
// is lost; so this learns the upstream's idle timeout from when it closed others. Never ends a connection in use.
import type { Clock } from "../platform/clock.ts";

/** Less than the 60 s after which common load balancers drop idle connections. */
export const KEEP_ALIVE_MS = 50_000;
// A connection that is closed sooner was closed for another reason: a restart, or a limit of requests a connection.
const LEAST_LEARNT_MS = 1000;
// The rest is a margin for bytes on their way, in both directions.
const SHARE = 0.75;
// After this time a learnt timeout is forgotten: it may have changed, or a restart was taken for one.
const LEARNT_FOR_MS = 10 * 60_000;

export interface Idle {
  /** When it became idle, and how long it was idle when it was last taken; monotonic ms, set here. */
  idleSinceMs: number;
  idleMs: number;
  end(): void;
}

export class IdleConnections<One extends Idle> {
  readonly #clock: Clock;
  /** In the order of their last use. */
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

  /** Takes the last used one; undefined when there is none, or the upstream may be closing it now. */
  pop(): One | undefined {
    const one = this.#all.pop();
    if (one === undefined) return undefined;
    const nowMs = this.#clock.monotonicMs();
    one.idleMs = nowMs - one.idleSinceMs;
    if (one.idleMs <= this.#limit(nowMs)) return one;
    // All others have been idle even longer.
    for (const each of [one, ...this.#all.splice(0)]) each.end();
    return undefined;
  }

  /** Ends the one that has been idle longest; false: there is none. */
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

  /** Learns that the upstream closed a connection after this idle time. */
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
