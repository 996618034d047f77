// How many inputs a generator makes: in the tests as many as it says, always the same; in the soak tests more, and others each time.

/** By how much the soak tests multiply. */
export const TIMES_VARIABLE = "X3SPROXY_TEST_TIMES";

/** For fast-check. What fails says its seed. */
export function inputs(seed: number, numRuns: number): { seed?: number; numRuns: number } {
  const times = Number(process.env[TIMES_VARIABLE] ?? "1");
  return times === 1 ? { seed, numRuns } : { numRuns: numRuns * times };
}
