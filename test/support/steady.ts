// Waiting until something that was moving has come to rest.
import { setTimeout as delay } from "node:timers/promises";

/** Resolves to the value of `read` once it is above zero and has not changed for `forMs`. */
export async function atRest(read: () => number, forMs = 400): Promise<number> {
  let last = read();
  let sinceMs = performance.now();
  while (last === 0 || performance.now() - sinceMs < forMs) {
    await delay(20);
    const now = read();
    if (now === last) continue;
    last = now;
    sinceMs = performance.now();
  }
  return last;
}
