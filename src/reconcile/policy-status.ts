/**
 * How far each policy is, in the conditions that Kubernetes tools know (kstatus): the same wherever it is shown.
 * @module
 */
import type { Policy, PolicySet, Problem, Standing } from '../policy/policy.ts';
import { inPlaceChanges } from '../terminal/changes.ts';
import { isOutdated } from '../terminal/plan.ts';
import type { Stall } from '../terminal/revisions.ts';
import type { PolicyId, Revision, Template, Workload } from '../terminal/terminal.ts';
import type { Entry } from './registry.ts';
import type { RolloutState } from './rollouts.ts';

export const conditionTypes = ['Ready', 'Reconciling', 'Stalled'] as const;
export type ConditionType = (typeof conditionTypes)[number];

export interface Condition {
  readonly type: ConditionType;
  readonly status: 'True' | 'False';
  /** One word in CamelCase. */
  readonly reason: string;
  readonly message: string;
  /** ISO time at which the status was another the last time. */
  readonly lastTransitionTime: string;
}

/** Terminals of a policy by how far they are. */
export interface Counts {
  /** Those that are not stopped for want of use. */
  readonly desired: number;
  /** Of these, those that are as the newest revision declares. */
  readonly updated: number;
  /** Of these, those that run. */
  readonly available: number;
  /** Stopped; the next start makes them what the policy declares. */
  readonly idle: number;
}

export interface PolicyStatus extends Counts {
  /** Those that are started and nobody's yet, as the newest revision declares; in none of the other counts. */
  readonly warm: number;
  readonly conditions: readonly Condition[];
  /** Of all policies in force, as the conditions speak of them. */
  readonly observedRevision: string;
  /** What the source calls that state, such as a Git commit. */
  readonly observedSource: string | null;
  /** Of what its terminals are made from. */
  readonly revision: Revision;
  /** The one that new terminals are made from: the last that ran, until the newest has. */
  readonly revisionInForce: Revision;
  /** Starts of the newest revision that failed in a row. */
  readonly failures: number;
  /** The terminal for which the rollout does not go on; null: it does. */
  readonly stall: Stall | null;
  /** Of the file that declares it, and what the backend has to say of it. */
  readonly problems: readonly Problem[];
}

export interface PolicyStatusesOptions {
  readonly policies: { readonly current: PolicySet };
  readonly entries: () => Iterable<Readonly<Entry>>;
  readonly stateOf: (policy: Policy) => RolloutState;
  readonly templates: { of(policy: Policy): Template };
  /** How many terminals of a policy are ready and nobody's; absent: none are. */
  readonly warm?: (policy: Policy) => number;
  /** What the backend has to say of a workload that runs all the same; null: nothing. */
  readonly trouble?: (workload: Workload) => string | null;
  /** Told whenever another condition holds; at first, only of what is not well. */
  readonly changed?: (policy: PolicyId, condition: Condition) => void;
  readonly now?: () => number;
}

/** The condition of each policy that holds. */
export function standingsOf(statuses: ReadonlyMap<PolicyId, PolicyStatus>): ReadonlyMap<PolicyId, Standing> {
  return new Map(
    [...statuses].flatMap(([policy, { conditions }]) => {
      const standing = conditions.find(({ status }) => status === 'True');
      return standing === undefined ? [] : [[policy, standing] as const];
    }),
  );
}

type Since = Record<ConditionType, { readonly status: Condition['status']; readonly at: string }>;

/** Remembers since when each condition is as it is. */
export class PolicyStatuses {
  readonly #options: PolicyStatusesOptions;
  readonly #since = new Map<PolicyId, Partial<Since>>();

  constructor(options: PolicyStatusesOptions) {
    this.#options = options;
  }

  /** Of all policies in force, by name. */
  all(): ReadonlyMap<PolicyId, PolicyStatus> {
    const { policies, entries } = this.#options;
    const { current } = policies;
    for (const id of this.#since.keys()) if (!current.policies.has(id)) this.#since.delete(id);
    const byPolicy = Map.groupBy(entries(), ({ key }) => key.policy);
    return new Map(
      [...current.policies.values()].map((policy) => [
        policy.id,
        this.#statusOf(policy, current, byPolicy.get(policy.id) ?? []),
      ]),
    );
  }

  of(policy: Policy): PolicyStatus {
    const { policies, entries } = this.#options;
    const own = [...entries()].filter(({ key }) => key.policy === policy.id);
    return this.#statusOf(policy, policies.current, own);
  }

  #statusOf(policy: Policy, set: PolicySet, entries: readonly Readonly<Entry>[]): PolicyStatus {
    const state = this.#options.stateOf(policy);
    const counts = countsOf(entries, this.#options.templates.of(policy));
    const problems = set.problems.filter(({ file }) => file === policy.declaredAt.file);
    const broken = set.lastGood?.has(policy.id) === true;
    const found = assess({ policy, state, counts, problems, broken });
    return {
      conditions: conditionTypes.map((type) => this.#dated(policy.id, type, found)),
      observedRevision: set.revision,
      observedSource: set.source ?? null,
      revision: state.revision,
      revisionInForce: state.inForce,
      failures: state.failures,
      stall: state.stalled,
      ...counts,
      warm: this.#options.warm?.(policy) ?? 0,
      problems: [...problems, ...this.#troubles(policy)],
    };
  }

  #troubles(policy: Policy): readonly Problem[] {
    const { trouble, templates } = this.#options;
    const message = trouble?.(templates.of(policy).workload) ?? null;
    return message === null
      ? []
      : [{ ...policy.declaredAt, severity: 'warning', path: 'spec', message, hint: '' }];
  }

  #dated(policy: PolicyId, type: ConditionType, { is, reason, message }: Assessment): Condition {
    const status = is === type ? 'True' : 'False';
    const since = this.#since.get(policy) ?? {};
    this.#since.set(policy, since);
    const known = since[type];
    const at =
      known?.status === status ? known.at : new Date(this.#options.now?.() ?? Date.now()).toISOString();
    const condition = { type, status, reason, message, lastTransitionTime: at } as const;
    if (known?.status !== status) {
      since[type] = { status, at };
      const news = known !== undefined || type !== 'Ready';
      if (status === 'True' && news) this.#options.changed?.(policy, condition);
    }
    return condition;
  }
}

/** Exactly one of the three holds, and why. */
interface Assessment {
  readonly is: ConditionType;
  readonly reason: string;
  readonly message: string;
}

function assess(about: {
  readonly policy: Policy;
  readonly state: RolloutState;
  readonly counts: Counts;
  readonly problems: readonly Problem[];
  readonly broken: boolean;
}): Assessment {
  const { policy, state, counts, problems, broken } = about;
  const { desired, updated, idle } = counts;
  if (broken) {
    const error = problems.find(({ severity }) => severity === 'error');
    const where = error ? `${error.file}:${error.line}: ${error.message}` : policy.declaredAt.file;
    return { is: 'Stalled', reason: 'PolicyInvalid', message: `the last good version is in force: ${where}` };
  }
  if (state.stalled !== null) {
    const { terminal, reason } = state.stalled;
    return { is: 'Stalled', reason: 'RolloutFailed', message: `${terminal}: ${reason}` };
  }
  const progress = `${updated} of ${count(desired)} as declared`;
  if (policy.spec.suspend && updated < desired) {
    return { is: 'Stalled', reason: 'Suspended', message: `the policy is suspended; ${progress}` };
  }
  if (!state.proven && state.failures > 0) {
    const message = `${state.failures} failed in a row; ${progress}`;
    return { is: 'Reconciling', reason: 'StartsFail', message };
  }
  if (updated < desired) return { is: 'Reconciling', reason: 'RollingOut', message: progress };
  const reason = policy.spec.suspend ? 'Suspended' : 'UpToDate';
  return { is: 'Ready', reason, message: idle === 0 ? progress : `${progress}, ${idle} idle` };
}

function count(terminals: number): string {
  return `${terminals} terminal${terminals === 1 ? '' : 's'}`;
}

function countsOf(entries: readonly Readonly<Entry>[], template: Template): Counts {
  let [desired, updated, available, idle] = [0, 0, 0, 0];
  for (const { actual, waiters, restoring } of entries) {
    if (actual === undefined) {
      // On its way back to the last good revision.
      if (restoring) desired += 1;
      // It will be made as declared.
      else if (waiters.size > 0) [desired, updated] = [desired + 1, updated + 1];
      continue;
    }
    if (actual.phase === 'Idle') {
      idle += 1;
      continue;
    }
    desired += 1;
    if (isOutdated(actual, template) || actual.astray !== undefined) continue;
    if (inPlaceChanges(actual, template).length > 0) continue;
    updated += 1;
    if (actual.phase === 'Running') available += 1;
  }
  return { desired, updated, available, idle };
}
