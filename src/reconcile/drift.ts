/**
 * What somebody changed about a terminal by hand, told apart from what its policy changed. Pure.
 * @module
 */
import { inPlaceChanges } from '../terminal/changes.ts';
import type { Actual, FieldChange, Template } from '../terminal/terminal.ts';

/** `limits` and `network` are put right in place; one that was `removed` is made anew when it is asked for. */
export type DriftKind = 'limits' | 'network' | 'removed';

export interface Drift {
  readonly kind: DriftKind;
  /** From what was found to what is declared. */
  readonly changes: readonly FieldChange[];
}

/**
 * What happened from outside between two observations.
 * @param before what was known, as our own work left it
 * @param declared what it should be; undefined: its policy is gone
 */
export function driftOf(
  before: Actual | undefined,
  after: Actual | undefined,
  declared: Template | undefined,
): readonly Drift[] {
  if (after === undefined) {
    // What is on its way is our own doing; what an operator keeps is made anew by it.
    const stood = before?.phase === 'Running' || before?.phase === 'Idle' || before?.phase === 'Error';
    return stood && !before.operated ? [{ kind: 'removed', changes: [] }] : [];
  }
  const drifts: Drift[] = [];
  const cut = after.astray ?? [];
  if (cut.length > 0 && before?.astray === undefined) drifts.push({ kind: 'network', changes: cut });
  const limits = before === undefined || declared === undefined ? [] : limitsMoved(before, after, declared);
  if (limits.length > 0) drifts.push({ kind: 'limits', changes: limits });
  return drifts;
}

/** Whether nothing that can change in place differs between two observations, as it is with nearly all of a list. */
export function isSameInPlace(before: Actual, after: Actual | undefined): boolean {
  return (
    after !== undefined &&
    sameFields(before.limits, after.limits) &&
    sameFields(before.settings, after.settings)
  );
}

type Fields = Readonly<Record<string, string | number | undefined>>;

function sameFields(before: Fields | null | undefined, after: Fields | null | undefined): boolean {
  if (before === after) return true;
  if (!before || !after) return false;
  for (const field in before) if (before[field] !== after[field]) return false;
  for (const field in after) if (!(field in before)) return false;
  return true;
}

/** Those that were as declared and are not any more: where the policy changed, they were not as it declares now. */
function limitsMoved(before: Actual, after: Actual, declared: Template): readonly FieldChange[] {
  const differing = inPlaceChanges(after, declared);
  if (differing.length === 0) return [];
  const differed = new Set(inPlaceChanges(before, declared).map(({ field }) => field));
  return differing.filter(({ field }) => !differed.has(field));
}
