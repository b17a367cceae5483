/**
 * What is believed of each terminal, and who is told when one that ran is where it was no more.
 * @module
 */
import type { Actual, RunningTerminal, Template } from '../terminal/terminal.ts';
import type { Census } from './census.ts';
import { type Drift, driftOf, isSameInPlace } from './drift.ts';
import type { Entry } from './registry.ts';

export interface ObservationsOptions {
  /** What a terminal should be; undefined: its policy is gone. */
  readonly declared: (entry: Entry) => Template | undefined;
  /** Told of what somebody changed by hand. */
  readonly drifted: (entry: Entry, drift: Drift) => void;
  readonly census: Pick<Census, 'take'>;
}

export class Observations {
  readonly #options: ObservationsOptions;
  readonly #gone = new Set<(terminal: RunningTerminal) => void>();
  #count = 0;

  constructor(options: ObservationsOptions) {
    this.#options = options;
  }

  /** How many were recorded so far: tells whether an entry's is younger than something that was asked for before it. */
  get count(): number {
    return this.#count;
  }

  /** Calls back when a terminal that ran stops running at its address, so that connections to it can be closed. */
  onGone(listener: (terminal: RunningTerminal) => void): void {
    this.#gone.add(listener);
  }

  /** As `record`, of what was not done here: what somebody changed by hand is told. */
  observe(entry: Entry, actual: Actual | undefined): void {
    const { declared, drifted } = this.#options;
    // Nothing differs from what was not known before, nor in what is as it was.
    const compared = entry.actual !== undefined && !isSameInPlace(entry.actual, actual);
    const wanted = compared ? declared(entry) : undefined;
    const drifts = driftOf(entry.actual, actual, wanted);
    this.record(entry, actual);
    for (const drift of drifts) drifted(entry, drift);
  }

  /** Takes what the backend says of a terminal; undefined: it isn't there. */
  record(entry: Entry, actual: Actual | undefined): void {
    const before = entry.actual;
    entry.actual = actual;
    const runs = actual !== undefined && actual.phase !== 'Idle';
    entry.heldBytes = runs ? (actual.limits?.memoryBytes ?? 0) : null;
    // Used by another process.
    entry.lastActivityAt = Math.max(entry.lastActivityAt, actual?.lastActivityAt ?? 0);
    entry.observed = true;
    entry.suspected = false;
    this.#count += 1;
    entry.recordedAt = this.#count;
    if (before?.phase === 'Running' && !isSameRun(before, actual)) {
      for (const listener of this.#gone) listener(before);
    }
    this.#options.census.take(before, actual);
  }

  /** Like `doubt`, but who has a connection there keeps it: one that failed says nothing about the others. */
  suspect(entry: Entry): void {
    entry.suspected = true;
    entry.observed = false;
  }

  /** From here on nobody is sent there, until it was looked at again. */
  doubt(entry: Entry, detail: string): void {
    if (entry.actual) this.record(entry, { ...entry.actual, phase: 'Provisioning', detail });
    entry.observed = false;
  }
}

/** Whether both are the same run of a terminal, as connections care for it. */
export function isSameRun(before: RunningTerminal, actual: Actual | undefined): boolean {
  return (
    actual?.phase === 'Running' &&
    actual.address.host === before.address.host &&
    actual.address.port === before.address.port &&
    actual.startedAt === before.startedAt
  );
}
