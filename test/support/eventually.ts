// Waiting for a condition instead of for a time.
import { setTimeout as delay } from "node:timers/promises";

/** Calls `probe` until it returns something other than undefined or false, and returns that. Throws after `withinMs`. */
export async function eventually<T>(
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  withinMs = 10_000,
): Promise<T> {
  const startMs = performance.now();
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (performance.now() - startMs > withinMs) {
      throw new Error(`not within ${withinMs} ms: ${probe.toString()}`);
    }
    await delay(10);
  }
}
