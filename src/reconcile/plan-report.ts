/**
 * What policies change, said before it happens: per policy field by field, per terminal step by step. Pure.
 * @module
 */
import { isDeepStrictEqual } from 'node:util';
import type { Policy, PolicySet, Problem } from '../policy/policy.ts';
import { type PolicyChange, policyChanges, withoutCredentials } from '../policy/policy-changes.ts';
import { type Deferred, type Plan, planTerminal } from '../terminal/plan.ts';
import type {
  Activity,
  Actual,
  Clean,
  ContextId,
  FieldChange,
  Phase,
  PolicyId,
  Template,
  TerminalKey,
  TerminalName,
  UserId,
  Window,
} from '../terminal/terminal.ts';

/** A terminal as the plan looks at it; what the reconciler knows of one fits. */
export interface PlannedTerminal extends Activity {
  readonly key: TerminalKey;
  readonly name: TerminalName;
  readonly actual: Actual | undefined;
  readonly driftedSince: number | null;
  /** Who waits for it to run. */
  readonly waiters?: { readonly size: number };
}

/** A policy set, and what it makes of a terminal. */
export interface Declared {
  readonly set: PolicySet;
  readonly templateOf: (policy: Policy, name: TerminalName) => Template;
}

export interface PlanInput {
  readonly after: Declared;
  /** What was in force until then; null: that is not known, and nothing is said of policies. */
  readonly before: Declared | null;
  readonly terminals: Iterable<PlannedTerminal>;
  /** When a window is open the next time. */
  readonly opensAt: (window: Window, now: number) => number | null;
  /** When a terminal's home is emptied by the policy's schedule; absent: that is not known. */
  readonly resetAt?: (policy: Policy, name: TerminalName, kept?: Clean) => number | null;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** One thing that will be done with a terminal. */
export interface Step {
  readonly action: (typeof wording)[keyof typeof wording];
  /** `now`, `at the next start`, or an ISO time. */
  readonly when: string;
  readonly reason: string;
  /** It comes from the policies: not from the ordinary course, and not from those before. */
  readonly change: boolean;
  readonly changes: readonly FieldChange[];
}

export interface TerminalPlan {
  readonly terminal: TerminalName;
  readonly user: UserId;
  readonly policy: PolicyId;
  readonly context: ContextId | null;
  readonly phase: Phase;
  /** Why it is left as it is right now; null: it is not. */
  readonly reason: string | null;
  readonly steps: readonly Step[];
}

/** How those of a policy are replaced. */
export interface RolloutPlan {
  readonly policy: PolicyId;
  /** How many are replaced in all. */
  readonly replaced: number;
  /** How many at a time, once one has run. */
  readonly parallel: number;
}

export interface PlanReport {
  /** Of the policies that it is the plan of. */
  readonly revision: string;
  /** What their source calls that state, such as a Git commit. */
  readonly source: string | null;
  readonly policies: readonly PolicyChange[];
  readonly rollouts: readonly RolloutPlan[];
  readonly terminals: readonly TerminalPlan[];
  readonly problems: readonly Problem[];
}

const wording = {
  create: 'create',
  start: 'start',
  stop: 'stop',
  update: 'update in place',
  replace: 'replace',
  delete: 'delete with its home',
  reset: 'reset its home',
  refuse: 'refuse',
} as const;

/** What an action may be called. */
export const actionWords: readonly string[] = Object.values(wording);

/** The whole plan, terminals by name. */
export function planReport(input: PlanInput): PlanReport {
  const { after, before } = input;
  const terminals = [...input.terminals]
    .filter(({ actual, waiters }) => actual !== undefined || (waiters?.size ?? 0) > 0)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const plans = terminals.map((terminal) => terminalPlan(terminal, input));
  return {
    revision: after.set.revision,
    source: after.set.source ?? null,
    policies: before === null ? [] : policyChanges(before.set, after.set),
    rollouts: rolloutPlans(plans, after),
    terminals: plans,
    problems: after.set.problems,
  };
}

/** Whether anything comes from the policies. */
export function hasChanges({ policies, terminals }: PlanReport): boolean {
  return policies.length > 0 || terminals.some(isChanged);
}

/** Whether something of this terminal comes from the policies. */
export function isChanged({ steps }: TerminalPlan): boolean {
  return steps.some(({ change }) => change);
}

function terminalPlan(terminal: PlannedTerminal, input: PlanInput): TerminalPlan {
  const { key, name, actual } = terminal;
  const { action, steps } = stepsUnder(terminal, input.after, input);
  const known = input.before === null ? [] : stepsUnder(terminal, input.before, input).steps;
  const expected = (step: Step) => known.some((one) => isDeepStrictEqual(essence(one), essence(step)));
  return {
    terminal: name,
    user: key.user,
    policy: key.policy,
    context: key.context,
    phase: actual?.phase ?? 'Pending',
    reason: action.kind === 'none' ? action.reason : null,
    steps: steps.map((step) => (step.change && expected(step) ? { ...step, change: false } : step)),
  };
}

/** When it is due does not matter for whether it is the same. */
function essence({ action, reason, changes }: Step): unknown {
  return { action, reason, changes };
}

function stepsUnder(
  terminal: PlannedTerminal,
  { set, templateOf }: Declared,
  { opensAt, resetAt, now }: PlanInput,
): Pick<Plan, 'action'> & { readonly steps: readonly Step[] } {
  const { key, name, actual, driftedSince, waiters } = terminal;
  const policy = set.policies.get(key.policy);
  const template = policy && templateOf(policy, name);
  const window = template?.rollout.window;
  const { action, deferred } = planTerminal({
    desired: template,
    actual,
    requested: (waiters?.size ?? 0) > 0,
    activity: terminal,
    driftedSince,
    windowOpensAt: window ? opensAt(window, now) : now,
    resetAt: (policy && resetAt?.(policy, name, actual?.clean)) ?? null,
    now,
  });
  const orphaned = policy === undefined;
  const first =
    action.kind === 'none'
      ? []
      : [step(action.kind, 'now', action.reason, 'changes' in action ? action.changes : [], orphaned)];
  const later = deferred.map(({ kind, at, reason, changes }) =>
    step(kind, whenOf(at), reason, changes, orphaned),
  );
  return { action, steps: [...first, ...later] };
}

function whenOf(at: Deferred['at']): string {
  return at === null ? 'at the next start' : new Date(at).toISOString();
}

/** @param orphaned its policy is gone, so that even its end comes from there */
function step(
  kind: keyof typeof wording,
  when: string,
  reason: string,
  changes: readonly FieldChange[],
  orphaned: boolean,
): Step {
  const hide = (value: string | null) => (value === null ? null : withoutCredentials(value));
  return {
    action: wording[kind],
    when,
    reason,
    // The end of what nobody uses, and the start of what is asked for, are the ordinary course.
    change:
      ((kind === 'update' || kind === 'replace') && changes.length > 0) || (orphaned && kind === 'stop'),
    changes: changes.map(({ field, from, to }) => ({ field, from: hide(from), to: hide(to) })),
  };
}

function rolloutPlans(plans: readonly TerminalPlan[], { set, templateOf }: Declared): readonly RolloutPlan[] {
  const changed = plans.filter(({ steps }) =>
    steps.some(({ action, change }) => action === 'replace' && change),
  );
  return [...Map.groupBy(changed, ({ policy }) => policy)].flatMap(([id, [first, ...others]]) => {
    const policy = set.policies.get(id);
    if (policy === undefined || first === undefined) return [];
    const { share, count } = templateOf(policy, first.terminal).rollout.maxUnavailable;
    const running = plans.filter(({ policy: its, phase }) => its === id && phase === 'Running').length;
    const parallel = Math.max(1, count + Math.floor(share * running));
    return [{ policy: id, replaced: others.length + 1, parallel }];
  });
}
