/** Requests that wait for a terminal to run. @module */
import { StartTimeoutError } from '../errors.ts';
import type { RunningTerminal } from '../terminal/terminal.ts';
import type { Entry } from './registry.ts';

/**
 * Resolves when the terminal runs.
 * @throws what its start ended with, the signal's reason, or StartTimeoutError after `limitMs`
 */
export async function waitFor(entry: Entry, limitMs: number, signal: AbortSignal): Promise<RunningTerminal> {
  signal.throwIfAborted();
  const waiter = Promise.withResolvers<RunningTerminal>();
  const timer = setTimeout(() => waiter.reject(tooLong(entry, limitMs)), limitMs).unref();
  const abort = () => waiter.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  entry.waiters.add(waiter);
  try {
    return await waiter.promise;
  } finally {
    entry.waiters.delete(waiter);
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

/** Everybody who waits gets the terminal. */
export function resolveWaiters(entry: Entry, terminal: RunningTerminal): void {
  for (const waiter of entry.waiters) waiter.resolve(terminal);
  entry.waiters.clear();
}

/** Everybody who waits is told why it does not run. */
export function rejectWaiters(entry: Entry, error: unknown): void {
  for (const waiter of entry.waiters) waiter.reject(error);
  entry.waiters.clear();
}

function tooLong(entry: Entry, limitMs: number): StartTimeoutError {
  const doing = entry.progress === null ? '' : ` (${entry.progress})`;
  return new StartTimeoutError(
    `The terminal is not ready after ${limitMs / 1000} seconds${doing}.`,
    'It goes on starting; try again in a while.',
  );
}
