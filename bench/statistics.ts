// Medians and spreads: what is said of several windows of the same work.

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Of what was measured; undefined when nothing was. */
export function spread(values: readonly (number | undefined)[]): Spread | undefined {
  const sorted = values
    .filter((value) => value !== undefined && Number.isFinite(value))
    .map(Number)
    .sort((a, b) => a - b);
  const [min] = sorted;
  const max = sorted.at(-1);
  if (min === undefined || max === undefined) return undefined;
  const middle = sorted.length / 2;
  const above = sorted[Math.floor(middle)] ?? min;
  const below = sorted[Math.ceil(middle) - 1] ?? min;
  return { median: (above + below) / 2, min, max };
}

/** One figure against another, round by round: what disturbs the machine for a while disturbs both. */
export function pairedRatio(
  values: readonly (number | undefined)[],
  against: readonly (number | undefined)[],
): Spread | undefined {
  return spread(
    values.map((value, round) => {
      const other = against[round];
      return value === undefined || other === undefined || other <= 0 ? undefined : value / other;
    }),
  );
}
