// Limits how much work runs at once (database queries, hashing), with a bounded queue that is fair between keys. Keys take turns. One key
// may not have more waiting than there is room left for all. When the queue is full, the key with the most waiting gives up a place: a
// client that fills the queue keeps nobody else out. Must never let work wait while a place is free. Refusing must stay cheap, however
// much is waiting.

/** Waiting work. None of its functions may throw. */
export interface Waiting {
  /** The end of its wait: monotonic milliseconds. */
  readonly untilMs: number;
  /** Called when its turn comes. Its place is free again once the promise settles, which never rejects. Undefined: it needs no place. */
  begin(): Promise<void> | undefined;
  /** Called when its wait is over, or it was pushed out by another key. */
  turnAway(): void;
}

export interface FairQueue {
  /** Begins at once, or when a place is free. False: the queue is full. */
  enter(key: string, one: Waiting): boolean;
  /** Leaves the queue. False: it isn't in the queue any more. */
  leave(key: string, one: Waiting): boolean;
  /** Refuses work that has waited too long. */
  expire(nowMs: number): void;
}

/** `places`: how many may run at once. `room`: how many may wait, for all keys together. */
export function createFairQueue({ places, room }: { places: number; room: number }): FairQueue {
  // The first key has the next turn. No list is empty.
  const queues = new Map<string, Set<Waiting>>();
  let waiting = 0;
  let taken = 0;
  /** How many keys have a given number waiting, and the largest such number. */
  const keysWith: number[] = [];
  let most = 0;

  function resized(before: number, after: number): void {
    if (before > 0) keysWith[before] = (keysWith[before] ?? 0) - 1;
    if (after > 0) keysWith[after] = (keysWith[after] ?? 0) + 1;
    most = Math.max(most, after);
    while (most > 0 && keysWith[most] === 0) most -= 1;
    waiting += after - before;
  }

  function begin(one: Waiting): void {
    const work = one.begin();
    if (work === undefined) return;
    taken += 1;
    work.then(leavePlace, leavePlace);
  }

  function leavePlace(): void {
    taken -= 1;
    while (taken < places) {
      const one = next();
      if (one === undefined) return;
      begin(one);
    }
  }

  function next(): Waiting | undefined {
    for (const [key, queue] of queues) {
      queues.delete(key);
      for (const one of queue) {
        queue.delete(one);
        resized(queue.size + 1, queue.size);
        if (queue.size > 0) queues.set(key, queue);
        return one;
      }
    }
    return undefined;
  }

  function leave(key: string, one: Waiting): boolean {
    const queue = queues.get(key);
    if (queue?.delete(one) !== true) return false;
    resized(queue.size + 1, queue.size);
    if (queue.size === 0) queues.delete(key);
    return true;
  }

  /** If the queue is full, pushes out the newest work of the key with the most waiting, if that key has at least two more than this one. */
  function makeRoom(has: number): boolean {
    if (waiting < room || most <= has + 1) return false;
    for (const [key, queue] of queues) {
      const newest = queue.size === most ? [...queue].at(-1) : undefined;
      if (newest === undefined) continue;
      leave(key, newest);
      newest.turnAway();
      return true;
    }
    return false;
  }

  return {
    enter(key, one) {
      if (taken < places) {
        begin(one);
        return true;
      }
      const queue = queues.get(key) ?? new Set();
      if (queue.size >= room - waiting && !makeRoom(queue.size)) return false;
      queue.add(one);
      resized(queue.size - 1, queue.size);
      queues.set(key, queue);
      return true;
    },
    leave,
    expire(nowMs) {
      for (const [key, queue] of queues) {
        for (const one of queue) {
          if (one.untilMs <= nowMs && leave(key, one)) one.turnAway();
        }
      }
    },
  };
}

/**
 * Runs `work` when its turn comes. If the queue is full, or its turn doesn't come within `withinMs`, rejects with the error of `late`, and
 * `work` does not begin.
 */
export function takeTurn<T>(
  queue: FairQueue,
  key: string,
  work: () => Promise<T>,
  { withinMs, late }: { withinMs: number; late: () => Error },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      if (queue.leave(key, one)) one.turnAway();
    }, withinMs);
    const one: Waiting = {
      untilMs: Infinity,
      begin() {
        clearTimeout(timer);
        return work().then(resolve, reject);
      },
      turnAway() {
        clearTimeout(timer);
        reject(late());
      },
    };
    if (!queue.enter(key, one)) one.turnAway();
  });
}
