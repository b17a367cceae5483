/**
 * How the revisions of a policy fare: the last one that ran, and what came of a newer one so far. Pure; whoever keeps it lets
 * a restart, and other processes, go on from there.
 * @module
 */
import type { Revision, TerminalName, Workload } from './terminal.ts';

/** A workload that has run, which counts until a newer one has. */
export interface GoodWorkload {
  readonly revision: Revision;
  readonly workload: Workload;
}

/** Why a rollout does not go on. */
export interface Stall {
  /** Epoch milliseconds. */
  readonly since: number;
  /** The terminal that failed last. */
  readonly terminal: TerminalName;
  readonly reason: string;
  /** The last lines that it wrote, where there are any. */
  readonly lastLines: readonly string[];
}

/** A revision that starts fail with. */
export interface Trial {
  readonly revision: Revision;
  /** Starts that failed in a row. */
  readonly failures: number;
  /** Terminals that failed with it lately. */
  readonly failed: readonly TerminalName[];
  /** Epoch milliseconds at which those may go again. */
  readonly againAt: number;
  readonly stalled: Stall | null;
}

export interface Revisions {
  /** null: none has run yet. */
  readonly good: GoodWorkload | null;
  /** null: nothing failed. */
  readonly trial: Trial | null;
}

/** Of a policy of which nothing is known. */
export const unknownRevisions: Revisions = { good: null, trial: null };

/** A start that failed, and what the policy makes of it. */
export interface Failure {
  readonly revision: Revision;
  readonly terminal: TerminalName;
  readonly reason: string;
  readonly lastLines: readonly string[];
  /** So many in a row stall the rollout. */
  readonly pauseOnFailures: number;
  /** How long those that failed wait after the n-th failure. */
  readonly pauseMs: (failures: number) => number;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** A terminal runs with this workload. The same object where that is no news. */
export function proved(known: Revisions, good: GoodWorkload): Revisions {
  if (known.good?.revision !== good.revision) return { good, trial: null };
  const { trial } = known;
  // What has run once and fails later is held by a stall until somebody says otherwise.
  return trial === null || trial.stalled !== null ? known : { ...known, trial: null };
}

/** A terminal did not come to run. The same object where another process said so of the same start already. */
export function failed(known: Revisions, failure: Failure): Revisions {
  const { revision, terminal, reason, lastLines, at } = failure;
  const before = known.trial?.revision === revision ? known.trial : null;
  const held = before !== null && at < before.againAt ? before.failed : [];
  const goesBack = known.good !== null && known.good.revision !== revision;
  if (goesBack && held.includes(terminal)) return known;
  const failures = (before?.failures ?? 0) + 1;
  const stall = failures >= failure.pauseOnFailures ? { since: at, terminal, reason, lastLines } : null;
  const trial: Trial = {
    revision,
    failures,
    failed: [...new Set([...held, terminal])],
    againAt: before !== null && held.length > 0 ? before.againAt : at + failure.pauseMs(failures),
    stalled: before?.stalled ?? stall,
  };
  return { ...known, trial };
}

/** Somebody mended what the newest revision needs: it begins anew. */
export function retried(known: Revisions): Revisions {
  return known.trial === null ? known : { ...known, trial: null };
}
