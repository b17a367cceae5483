/** Waiting longer after each failure, with jitter so that many do not come back at once. @module */

const firstMs = 1_000;
const longestMs = 5 * 60_000;

/** How long to wait after the n-th failure in a row (n from 1): doubling to 5 minutes, half of it random. */
export function backoffMs(failures: number, random: () => number = Math.random): number {
  const ceiling = Math.min(firstMs * 2 ** Math.min(failures - 1, 20), longestMs);
  return ceiling / 2 + (random() * ceiling) / 2;
}
