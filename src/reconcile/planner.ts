/**
 * What to do with one terminal now: its policy as far as the rollout is, against what is known of it.
 * @module
 */
import type { Policy } from '../policy/policy.ts';
import { areSameChanges } from '../terminal/changes.ts';
import { isNobody } from '../terminal/names.ts';
import { type Action, isAwaited, isOutdated, type Plan, planTerminal } from '../terminal/plan.ts';
import type { Desired, FieldChange, Template, TerminalKey } from '../terminal/terminal.ts';
import type { Entry } from './registry.ts';
import type { Resets } from './resets.ts';
import type { Rollouts } from './rollouts.ts';
import { Windows } from './windows.ts';

export interface PlannerOptions {
  readonly policyOf: (key: TerminalKey) => Policy | undefined;
  readonly rollouts: Pick<Rollouts, 'templateOf' | 'enter' | 'ran' | 'isOnTrial' | 'stateOf'>;
  /** Whether this process does what nobody waits for. */
  readonly leads: () => boolean;
  readonly resets: Pick<Resets, 'resetAt'>;
}

/** What to do, and from what; undefined: the policy is gone. */
export interface Planned {
  readonly desired: Desired | undefined;
  readonly plan: Plan;
}

/** Others of its policy are being replaced; it is told when they are through. */
const notItsTurn: Plan = { action: { kind: 'none', reason: 'it waits for its turn' }, deferred: [] };
const othersDo: Plan = { action: { kind: 'none', reason: 'another replica sees to it' }, deferred: [] };

const notHeld: Action = { kind: 'none', reason: 'the backend does not hold what its policy declares' };
const aheadOfRequests: Action = { kind: 'create', reason: 'to be there before it is asked for' };

/** Of what was nobody's. */
const notThere: Plan = { action: { kind: 'none', reason: 'it is not kept' }, deferred: [] };
const notKept: Plan = {
  action: { kind: 'delete', reason: "it is nobody's, and no policy keeps it" },
  deferred: [],
};

/** Those for what is nobody's, each worked out once. */
const forNobody = new WeakMap<Template, Template>();

/** What is nobody's is replaced at once: there is no work in it to wait for. */
function templateFor({ user }: TerminalKey, template: Template): Template {
  if (!isNobody(user)) return template;
  const known = forNobody.get(template);
  if (known !== undefined) return known;
  const atOnce: Template = { ...template, rollout: { ...template.rollout, when: 'now', window: null } };
  forNobody.set(template, atOnce);
  return atOnce;
}

function desiredFrom(template: Template, { key, name }: Pick<Entry, 'key' | 'name'>): Desired {
  return { key, name, ...template };
}

/** It would be changed for ever, as fast as the backend answers. */
function isVain(changes: readonly FieldChange[], { unheld }: Entry, now: number): boolean {
  return unheld !== null && now < unheld.until && areSameChanges(changes, unheld.changes);
}

export class Planner {
  readonly #options: PlannerOptions;
  readonly #windows = new Windows();

  constructor(options: PlannerOptions) {
    this.#options = options;
  }

  /** What the terminal should be, as far as its policy's rollout is. */
  desired(entry: Entry): Desired | undefined {
    const template = this.template(entry);
    return template && desiredFrom(template, entry);
  }

  /** The same without saying of which terminal: to compare with, nothing has to be made. */
  template({ key, name }: Entry): Template | undefined {
    const policy = this.#options.policyOf(key);
    return policy && templateFor(key, this.#options.rollouts.templateOf(policy, name));
  }

  /** Looks, without taking anybody's turn. */
  look(entry: Entry): Plan {
    return this.#plan(entry, this.template(entry));
  }

  /** What to do now, where a rollout lets one terminal go before another; `Rollouts.leave` must follow. */
  inTurn(entry: Entry): Planned {
    const { policyOf, rollouts } = this.#options;
    const desired = this.desired(entry);
    const plan = this.#plan(entry, desired);
    const policy = policyOf(entry.key);
    if (policy === undefined || !this.#takesTurn(policy, entry, desired, plan)) return { desired, plan };
    const running = entry.actual?.phase === 'Running';
    const template = rollouts.enter(policy, entry.name, running);
    if (template === null) return { desired, plan: notItsTurn };
    if (template.revision === desired?.revision) return { desired, plan };
    const held = desiredFrom(templateFor(entry.key, template), entry);
    return { desired: held, plan: this.#plan(entry, held) };
  }

  /** What runs proves its revision. */
  noteRevision({ key, actual }: Entry): void {
    const policy = this.#options.policyOf(key);
    if (policy !== undefined && actual?.phase === 'Running')
      this.#options.rollouts.ran(policy, actual.revision);
  }

  /** Where an operator brings it up, its start declares it anew: one of another revision than that in force goes in turn. */
  #takesTurn(policy: Policy, { actual }: Entry, desired: Desired | undefined, { action }: Plan): boolean {
    if (action.kind === 'create' || action.kind === 'replace') return true;
    if (action.kind !== 'start' || !actual?.operated) return false;
    // It is waited for as it is, and what comes of that says nothing of the newest revision.
    if (isAwaited(actual, Date.now())) return false;
    const { inForce } = this.#options.rollouts.stateOf(policy);
    return desired?.revision !== inForce || actual.revision !== inForce;
  }

  #plan(entry: Entry, desired: Template | undefined): Plan {
    if (isNobody(entry.key.user) && !entry.kept) return entry.actual === undefined ? notThere : notKept;
    const now = Date.now();
    const window = desired?.rollout.window ?? null;
    const drifted = desired && entry.actual && isOutdated(entry.actual, desired);
    entry.driftedSince = drifted ? (entry.driftedSince ?? now) : null;
    const waited = entry.waiters.size > 0;
    const needed = (waited && entry.actual?.phase !== 'Running') || entry.restoring;
    if (!needed && !this.#options.leads()) return othersDo;
    const plan = planTerminal({
      desired,
      actual: entry.actual,
      requested: waited || entry.restoring || entry.kept || this.#isStranded(entry, desired),
      // Nobody can use what is kept, and it is not for want of use that it stops.
      activity: entry.kept ? { lastActivityAt: now, inFlight: 0 } : entry,
      driftedSince: entry.driftedSince,
      windowOpensAt: window === null ? now : this.#windows.opensAt(window, now),
      resetAt: this.#resetAt(entry),
      now,
    });
    if (entry.kept && plan.action.kind === 'create') return { ...plan, action: aheadOfRequests };
    return plan.action.kind === 'update' && isVain(plan.action.changes, entry, now)
      ? { ...plan, action: notHeld }
      : plan;
  }

  /** Whoever had it begin with a revision that is not proven yet may be gone: somebody has to see how that ends. */
  #isStranded({ key, actual }: Entry, desired: Template | undefined): boolean {
    const policy = this.#options.policyOf(key);
    if (!actual?.operated || policy === undefined || desired === undefined || desired.suspended) return false;
    const ends = actual.phase === 'Provisioning' || actual.phase === 'Error';
    return ends && this.#options.rollouts.isOnTrial(policy, actual.revision);
  }

  /** What is not there, and not asked for, is not remembered. */
  #resetAt({ key, name, actual, waiters }: Entry): number | null {
    if (isNobody(key.user)) return null;
    const policy = this.#options.policyOf(key);
    if (policy === undefined || (actual === undefined && waiters.size === 0)) return null;
    return this.#options.resets.resetAt(policy, name, actual?.clean);
  }
}
