/** Waiting for a terminal to become something, by the changes that the caches tell. @module */
import type { TerminalCache } from './terminal-cache.ts';

export interface UntilOptions {
  readonly cache: Pick<TerminalCache, 'onChange'>;
  readonly name: string;
  readonly ms: number;
  readonly signal: AbortSignal;
  /** What is thrown when the time is over. */
  readonly late: () => Error;
}

/**
 * Waits until `look` has an answer; it is asked at once, and at each change of the terminal.
 * @throws what `look` and `late` say, the signal's reason
 */
export async function until<T>(
  { cache, name, ms, signal, late }: UntilOptions,
  look: () => T | undefined,
): Promise<T> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const again = () => {
    try {
      const answer = look();
      if (answer !== undefined) resolve(answer);
    } catch (error) {
      reject(error);
    }
  };
  const stop = cache.onChange((changed) => {
    if (changed === name) again();
  });
  const timer = setTimeout(() => reject(late()), ms).unref();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    again();
    return await promise;
  } finally {
    stop();
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}
