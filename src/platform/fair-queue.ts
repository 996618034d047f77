// Places for what costs the database or a thread something, and a bounded queue before them that is fair between keys. Each key has its
// turn, and a key may have no more waiting than there is room left for all. Where several have taken all of it, the one with the most
// gives way: whoever fills the queue keeps nobody else from waiting. Must never let anything wait while a place is free, and turning
// away must cost next to nothing, however many wait.

/** What waits. None of its functions throws. */
export interface Waiting {
  /** Monotonic: it waits no longer than until then. */
  readonly untilMs: number;
  /** Its turn has come. Its place is free again when the promise settles, which never rejects; undefined: it needs none. */
  begin(): Promise<void> | undefined;
  /** Its time is over, or it gave way to another key. */
  turnAway(): void;
}

export interface FairQueue {
  /** Begins when a place is free, at once or later. False: there is no room to wait. */
  enter(key: string, one: Waiting): boolean;
  /** Gives the room back. False: it does not wait any more. */
  leave(key: string, one: Waiting): boolean;
  /** Turns away whatever has waited for too long. */
  expire(nowMs: number): void;
}

/** `places`: how many may be under way at once. `room`: how many may wait, of all keys together. */
export function createFairQueue({ places, room }: { places: number; room: number }): FairQueue {
  // The next turn is the first key's. None is empty.
  const queues = new Map<string, Set<Waiting>>();
  let waiting = 0;
  let taken = 0;
  /** How many keys have so many waiting, and how many the key with the most has. */
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

  /** When there is no room at all, the newest of the key that has most gives way to one that has fewer, by more than this one place. */
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
 * Does `work` when its turn has come. Rejects with what `late` gives when there is no room to wait (any more), or its turn does not come
 * within `withinMs`; then `work` is not begun.
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
