/** Few numbers about many: medians and how far the rounds were apart. @module */

export interface Summary {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** Half of the values are below it; NaN of none. */
export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** The value that `rank` percent of all are at or below, interpolated between neighbours. */
export function percentile(values: readonly number[], rank: number): number {
  const sorted = Float64Array.from(values).sort();
  const at = ((sorted.length - 1) * rank) / 100;
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? below;
  return below + (above - below) * (at - Math.floor(at));
}

/** Median with the lowest and highest round. */
export function summary(values: readonly number[]): Summary {
  return { median: median(values), low: Math.min(...values), high: Math.max(...values) };
}

/** Round by round, so that what disturbed both at one time cancels out. */
export function paired(
  a: readonly number[],
  b: readonly number[],
  combine: (a: number, b: number) => number,
): readonly number[] {
  return a.slice(0, b.length).map((value, round) => combine(value, b[round] ?? Number.NaN));
}
