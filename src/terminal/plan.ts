/**
 * The pure difference of desired and actual state: what to do now, what waits, and why.
 * @module
 */
import { changesOf, limitChanges, settingChanges } from './changes.ts';
import type { Activity, Actual, ErrorTerminal, FieldChange, RunningTerminal, Template } from './terminal.ts';

/** What to do with a terminal right now. */
export type Action =
  | { readonly kind: 'none'; readonly reason: string }
  /** `delete` takes the home with it, `reset` all of it but what the policy keeps; nothing else touches it. */
  | { readonly kind: 'create' | 'start' | 'stop' | 'delete' | 'reset'; readonly reason: string }
  | {
      readonly kind: 'update' | 'replace';
      readonly reason: string;
      readonly changes: readonly FieldChange[];
    }
  /** It can't be helped from here: a request for it fails with this reason. */
  | { readonly kind: 'refuse'; readonly reason: string };

/** What is due later. `at`: epoch milliseconds, or null when only the next start brings it. */
export interface Deferred {
  readonly kind: 'stop' | 'replace' | 'delete' | 'reset';
  readonly at: number | null;
  readonly reason: string;
  readonly changes: readonly FieldChange[];
}

export interface Plan {
  readonly action: Action;
  /** In order of time; the first with an `at` is when to look again. */
  readonly deferred: readonly Deferred[];
}

export interface PlanInput {
  /** undefined: its policy is gone. */
  readonly desired: Template | undefined;
  /** undefined: there is no such terminal. */
  readonly actual: Actual | undefined;
  /** Somebody waits for it to run. */
  readonly requested: boolean;
  readonly activity: Activity;
  /** Epoch ms at which the present difference of revisions was first seen; null: none seen. */
  readonly driftedSince: number | null;
  /** When running terminals may be replaced the next time; null: never again. */
  readonly windowOpensAt: number | null;
  /** When the policy's schedule empties its home: the past where that is still to be done; null: never. */
  readonly resetAt?: number | null;
  readonly now: number;
}

/** Where a policy is gone and its terminal had no idle timeout, nobody can reach it any more: it ends after this. */
const orphanIdleMs = 30 * 60_000;
/** A terminal with a request under way is looked at again no sooner than this. */
const busyRecheckMs = 1_000;
/** The use of a terminal by another process is known after this at the latest, where they tell each other every minute. */
const othersUseMs = 75_000;

/** What to do with one terminal. The same input gives the same plan; a converged terminal gives `none`. */
export function planTerminal(input: PlanInput): Plan {
  const { desired, actual, requested } = input;
  if (actual === undefined) {
    if (!requested || desired === undefined) return now({ kind: 'none', reason: 'it is not asked for' });
    // Its home may be there all the same.
    const reset = scheduledReset(input);
    if (isDue(reset, input)) return now({ kind: 'reset', reason: reset.reason });
    return now({ kind: 'create', reason: 'first request' });
  }
  const end = requested ? null : retentionEnd(input, actual);
  if (isDue(end, input)) return now({ kind: 'delete', reason: end.reason });
  const reset = scheduledReset(input);
  if (isDue(reset, input)) return now({ kind: 'reset', reason: reset.reason });
  return withDeferred(planPresent(input, actual), [end, reset]);
}

function isDue(later: Deferred | null, { now: at }: PlanInput): later is Deferred {
  return later !== null && later.at !== null && later.at <= at;
}

function withDeferred(plan: Plan, more: readonly (Deferred | null)[]): Plan {
  const known = more.filter((entry) => entry !== null);
  return known.length === 0 ? plan : { ...plan, deferred: [...plan.deferred, ...known].sort(byTime) };
}

/** When its home is emptied by schedule: in use only once it was quiet, however long that takes. */
function scheduledReset({ desired, actual, activity, resetAt, now: at }: PlanInput): Deferred | null {
  if (!desired?.reset || desired.suspended || resetAt == null) return null;
  // Somebody stopped its clock, so that what is in it stays as it is.
  if (actual?.phase === 'Error' && actual.recover === 'by-hand') return null;
  const { schedule, timezone } = desired.reset;
  const due = new Date(resetAt).toISOString();
  const reason = `its policy empties homes on schedule (${schedule}, ${timezone}; due ${due})`;
  const runs =
    actual?.phase === 'Running' || actual?.phase === 'Provisioning' || actual?.astray !== undefined;
  const quietMs = actual?.operated
    ? Math.max(desired.rollout.idleAfterMs, othersUseMs)
    : desired.rollout.idleAfterMs;
  const idleAt = runs ? quietAt(quietMs, activity, at) : resetAt;
  return { kind: 'reset', at: Math.max(resetAt, idleAt), reason, changes: [] };
}

function planPresent(input: PlanInput, actual: Actual): Plan {
  const { desired, requested } = input;
  switch (actual.phase) {
    case 'Running':
      return planRunning(input, actual);
    case 'Provisioning':
      if (desired === undefined) return now({ kind: 'none', reason: 'its policy is gone' });
      if (actual.operated && !requested) return now({ kind: 'none', reason: actual.detail });
      return now({ kind: 'start', reason: actual.detail });
    case 'Idle':
      return planIdle(desired, actual, requested);
    case 'Error':
      return planBroken(input, actual);
  }
}

function planBroken(input: PlanInput, actual: ErrorTerminal): Plan {
  const { desired, requested } = input;
  const { detail: reason, recover, astray } = actual;
  const wanted = requested || (astray !== undefined && desired?.suspended === false);
  if (desired === undefined || !wanted) return planUnasked(input, actual);
  if (recover === 'by-hand') return now({ kind: requested ? 'refuse' : 'none', reason });
  // What runs in it goes on, though nobody can reach it.
  if (astray !== undefined) return now({ kind: 'update', reason, changes: astray });
  return now({ kind: 'replace', reason, changes: [] });
}

/** What is broken may run all the same, and has its room of the host until it is stopped as any other. */
function planUnasked(input: PlanInput, actual: ErrorTerminal): Plan {
  const { desired, now: at } = input;
  const none: Action = { kind: 'none', reason: actual.detail };
  if (actual.recover === 'by-hand' || actual.operated || desired?.suspended) return now(none);
  const stop = idleStop(input, actual);
  if (stop === null) return now(none);
  if (stop.at !== null && stop.at <= at) return now({ kind: 'stop', reason: stop.reason });
  return now(none, [stop]);
}

function now(action: Action, deferred: readonly Deferred[] = []): Plan {
  return { action, deferred };
}

function planIdle(desired: Template | undefined, actual: Actual, requested: boolean): Plan {
  if (desired === undefined) return now({ kind: 'none', reason: 'its policy is gone' });
  const drifted = actual.revision !== desired.revision && !desired.suspended;
  // Since when a schedule is in force counts for a home that nobody uses, too; the rest is declared at the next start.
  const schedule = settingChanges(actual.settings, desired).filter(({ field }) => field === 'reset');
  if (!requested && !desired.suspended && schedule.length > 0)
    return now({ kind: 'update', reason: 'settings changed', changes: schedule });
  if (!requested) {
    const later: Deferred[] = drifted
      ? [{ kind: 'replace', at: null, reason: 'the policy changed', changes: changesOf(actual, desired) }]
      : [];
    return now({ kind: 'none', reason: 'idle' }, later);
  }
  if (!drifted) return now({ kind: 'start', reason: 'requested while idle' });
  return now({
    kind: 'replace',
    reason: 'requested while idle, and the policy changed',
    changes: changesOf(actual, desired),
  });
}

function planRunning(input: PlanInput, actual: RunningTerminal): Plan {
  const { desired, now: at } = input;
  const stop = idleStop(input, actual);
  const settings = desired ? settingChanges(actual.settings, desired) : [];
  if (desired?.suspended) {
    const changes = settings.filter(({ field }) => field === 'suspend');
    if (changes.length > 0) return now({ kind: 'update', reason: 'the policy is suspended', changes });
    return now({ kind: 'none', reason: 'the policy is suspended' });
  }
  const replace = desired && isOutdated(actual, desired) ? replacement(input, actual, desired) : null;
  if (replace?.at != null && replace.at <= at) {
    return now({ kind: 'replace', reason: replace.reason, changes: replace.changes });
  }
  if (stop !== null && stop.at !== null && stop.at <= at) return now({ kind: 'stop', reason: stop.reason });

  const deferred = [replace, stop].filter((entry) => entry !== null).sort(byTime);
  const astray = (desired && actual.astray) ?? [];
  const limits = desired ? limitChanges(actual.limits, desired.limits) : [];
  const changes = [...astray, ...limits, ...settings];
  if (changes.length === 0) return now({ kind: 'none', reason: 'as declared' }, deferred);
  const changed = limits.length > 0 ? 'limits changed' : 'settings changed';
  const reason = astray.length > 0 ? 'it was changed by hand' : changed;
  return now({ kind: 'update', reason, changes }, deferred);
}

/** Whether only a replacement makes it what it should be. */
export function isOutdated(actual: Actual, desired: Template): boolean {
  return actual.revision !== desired.revision;
}

/** Whether it was ready and is not for a moment, so that it keeps what it is made of, with whoever works in it. */
export function isAwaited(actual: Actual, at: number): boolean {
  return actual.phase === 'Provisioning' && at < (actual.awaitedUntil ?? 0);
}

function byTime(a: Deferred, b: Deferred): number {
  return (a.at ?? Number.POSITIVE_INFINITY) - (b.at ?? Number.POSITIVE_INFINITY);
}

/** The terminal of a chat or an automation does not stay for ever. */
function retentionEnd({ desired, activity, now: at }: PlanInput, actual: Actual): Deferred | null {
  if (desired === undefined || desired.suspended || desired.contextRetentionMs === 0) return null;
  if (actual.key.context === null) return null;
  const days = desired.contextRetentionMs / 86_400_000;
  const reason = `its ${actual.key.context.split(':', 1)[0]} did not use it for ${days} ${days === 1 ? 'day' : 'days'}`;
  return { kind: 'delete', at: quietAt(desired.contextRetentionMs, activity, at), reason, changes: [] };
}

/** When a quiet time of `quietMs` ends, by what is known of its use now. */
function quietAt(quietMs: number, { lastActivityAt, inFlight }: Activity, at: number): number {
  return inFlight > 0 ? at + Math.max(quietMs, busyRecheckMs) : lastActivityAt + quietMs;
}

function idleStop(input: PlanInput, actual: RunningTerminal | ErrorTerminal): Deferred | null {
  const { desired, activity, now: at } = input;
  // What an operator stops is stopped by it alone: it hears of everybody's use.
  if (actual.operated && (desired || actual.idleTimeoutMs > 0)) return null;
  const timeout = desired ? desired.idleTimeoutMs : actual.idleTimeoutMs || orphanIdleMs;
  if (timeout === 0) return null;
  const reason = desired
    ? `idle for ${minutes(timeout)}`
    : `its policy is gone and it is idle for ${minutes(timeout)}`;
  return { kind: 'stop', at: quietAt(timeout, activity, at), reason, changes: [] };
}

function replacement(input: PlanInput, actual: Actual, desired: Template): Deferred {
  const { windowOpensAt } = input;
  const { at, reason } = replacementTime(input, desired);
  const changes = changesOf(actual, desired);
  if (at === null || windowOpensAt === null) return { kind: 'replace', at: null, reason, changes };
  return { kind: 'replace', at: Math.max(at, windowOpensAt), reason, changes };
}

/** When a changed workload is due, whatever the window; null: at the next start. */
function replacementTime(
  { actual, activity, driftedSince, now: at }: PlanInput,
  desired: Template,
): { readonly at: number | null; readonly reason: string } {
  const { when, idleAfterMs, maxDelayMs } = desired.rollout;
  const latest = maxDelayMs === null ? Number.POSITIVE_INFINITY : (driftedSince ?? at) + maxDelayMs;
  switch (when) {
    case 'now':
      return { at, reason: 'the policy changed (rollout now)' };
    case 'idle': {
      const quietMs = actual?.operated ? Math.max(idleAfterMs, othersUseMs) : idleAfterMs;
      const idleAt = quietAt(quietMs, activity, at);
      if (latest <= idleAt) return { at: latest, reason: 'the policy changed (longest delay over)' };
      return { at: idleAt, reason: 'the policy changed (rollout when idle)' };
    }
    case 'nextStart':
      return {
        at: Number.isFinite(latest) ? latest : null,
        reason: 'the policy changed (rollout at the next start)',
      };
  }
}

function minutes(ms: number): string {
  const value = Math.round(ms / 600) / 100;
  return `${value} ${value === 1 ? 'minute' : 'minutes'}`;
}
