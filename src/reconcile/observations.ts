/**
 * What is believed of each terminal, and who is told when one that ran is where it was no more.
 * @module
 */
import type { Actual, RunningTerminal } from '../terminal/terminal.ts';
import type { Entry } from './registry.ts';

export class Observations {
  readonly #gone = new Set<(terminal: RunningTerminal) => void>();

  /** Calls back when a terminal that ran stops running at its address, so that connections to it can be closed. */
  onGone(listener: (terminal: RunningTerminal) => void): void {
    this.#gone.add(listener);
  }

  /** Takes what the backend says of a terminal; undefined: it isn't there. */
  record(entry: Entry, actual: Actual | undefined): void {
    const before = entry.actual;
    entry.actual = actual;
    entry.observed = true;
    if (before?.phase !== 'Running' || isSameRun(before, actual)) return;
    for (const listener of this.#gone) listener(before);
  }

  /** From here on nobody is sent there, until it was looked at again. */
  doubt(entry: Entry, detail: string): void {
    if (entry.actual) this.record(entry, { ...entry.actual, phase: 'Provisioning', detail });
    entry.observed = false;
  }
}

function isSameRun(before: RunningTerminal, actual: Actual | undefined): boolean {
  return (
    actual?.phase === 'Running' &&
    actual.address.host === before.address.host &&
    actual.address.port === before.address.port &&
    actual.startedAt === before.startedAt
  );
}
