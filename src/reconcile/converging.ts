/**
 * Bringing one terminal to what it should be: what it is asked for by order and by plan, until there is nothing to do.
 * @module
 */
import type { Logger } from 'pino';
import { PolicyUnknownError, StartTimeoutError, TerminalsError } from '../errors.ts';
import type { Policy } from '../policy/policy.ts';
import { areAmong } from '../terminal/changes.ts';
import type { Action, Plan } from '../terminal/plan.ts';
import type { Desired, Revision, TerminalKey, TerminalName } from '../terminal/terminal.ts';
import { type Actions, describe } from './actions.ts';
import type { Admission } from './admission.ts';
import { backoffMs } from './backoff.ts';
import type { Deadlines } from './deadlines.ts';
import type { Planner } from './planner.ts';
import type { WorkQueue } from './queue.ts';
import type { Entry, Registry } from './registry.ts';
import type { Rollouts } from './rollouts.ts';
import type { UsedElsewhere } from './used-elsewhere.ts';
import { rejectWaiters, resolveWaiters } from './waiting.ts';

export interface ConvergingOptions {
  readonly registry: Registry;
  readonly policyOf: (key: TerminalKey) => Policy | undefined;
  readonly planner: Pick<Planner, 'desired' | 'inTurn' | 'look' | 'noteRevision'>;
  readonly rollouts: Pick<Rollouts, 'failed' | 'leave'>;
  readonly actions: Pick<Actions, 'inspect' | 'prepare' | 'obey'>;
  readonly admission: Pick<Admission, 'perform' | 'warm'>;
  readonly deadlines: Pick<Deadlines, 'set'>;
  /** Where what is left to do waits for its turn. */
  readonly queue: Pick<WorkQueue, 'add'>;
  /** absent: nobody else uses any. */
  readonly elsewhere?: UsedElsewhere | undefined;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

type Update = Extract<Action, { readonly kind: 'update' | 'replace' }>;

/** A look at one terminal takes at most this many steps before it gives way to others. */
const maxSteps = 4;
/** What ends the connections to one that runs. */
const takesDown: ReadonlySet<Plan['action']['kind']> = new Set(['stop', 'replace', 'reset', 'delete']);

export class Converging {
  readonly #options: ConvergingOptions;

  constructor(options: ConvergingOptions) {
    this.#options = options;
  }

  /** Does what is to be done with a terminal; whoever waits for it hears what came of it. */
  async reconcile(name: TerminalName): Promise<void> {
    const { registry, admission, signal } = this.#options;
    const entry = registry.get(name);
    if (entry === undefined || entry.taken || signal.aborted) return;
    // Whoever ends its run says what came of it to those who need the room.
    await entry.leaving?.catch(() => undefined);
    if (entry.stale) entry.observed = false;
    entry.stale = false;
    await this.#obey(entry);
    const asked = entry.waiters.size > 0;
    try {
      await this.#convergeOrGoBack(entry);
      entry.failures = 0;
    } catch (error) {
      this.#failed(entry, error, asked);
    }
    entry.progress = null;
    registry.prune(entry);
    admission.warm.follow();
  }

  /** Looks at it again when its plan says. */
  schedule(entry: Entry, plan: Plan): void {
    const due = plan.deferred.find(({ at }) => at !== null)?.at ?? null;
    const again = entry.unheld?.until ?? 0;
    const first = again > Date.now() && again < (due ?? Number.POSITIVE_INFINITY) ? again : due;
    this.#options.deadlines.set(entry.name, first);
  }

  /** Whoever gave an order hears what came of it, and nobody else. */
  async #obey(entry: Entry): Promise<void> {
    const { actions, planner } = this.#options;
    for (let next = entry.orders.shift(); next !== undefined; next = entry.orders.shift()) {
      await actions.obey(entry, next.order, planner.desired(entry)).then(next.resolve, next.reject);
    }
  }

  /** A terminal that does not come to run with a new revision goes back to the last good one, and nobody hears of it. */
  async #convergeOrGoBack(entry: Entry): Promise<void> {
    const { policyOf, rollouts, planner, log } = this.#options;
    const policy = policyOf(entry.key);
    try {
      await this.#converge(entry);
    } catch (error) {
      if (policy === undefined || !rollouts.failed(policy, entry.name, error)) throw error;
      log.warn({ ...describe(entry), err: error }, 'back to the last revision that ran');
      rollouts.leave(policy, entry.name);
      entry.observed = false;
      entry.restoring = true;
      await this.#converge(entry);
    } finally {
      entry.restoring = false;
      if (policy !== undefined) rollouts.leave(policy, entry.name);
    }
    planner.noteRevision(entry);
  }

  /** Plans and acts until there is nothing to do, then serves who waits and notes when to look again. */
  async #converge(entry: Entry): Promise<void> {
    const { actions, planner, admission, elsewhere, queue } = this.#options;
    let prepared: Revision | null = null;
    for (let step = 0; step < maxSteps; step += 1) {
      if (!entry.observed) await actions.inspect(entry);
      const { desired, plan } = planner.inTurn(entry);
      if (plan.action.kind === 'none') return this.#settle(entry, plan, desired);

      // Whatever needs the network comes before anything is taken down, and what to do is decided anew after it.
      if (plan.action.kind === 'replace' && desired && prepared !== desired.revision) {
        await actions.prepare(entry, desired);
        prepared = desired.revision;
        continue;
      }
      // So that it is not taken down under who has just begun to use it: with all that is known, it is planned again.
      if (takesDown.has(plan.action.kind) && elsewhere?.isHeld(entry.name)) {
        await elsewhere.recall(entry.name);
        continue;
      }
      if (plan.action.kind === 'update') await this.#update(entry, plan.action, desired);
      else await admission.perform(entry, plan.action, desired);
    }
    queue.add(entry.name, entry.waiters.size > 0);
  }

  /** Changes it in place; who waits for one that runs does not wait for that, and is not told where it fails. */
  async #update(entry: Entry, action: Update, desired: Desired | undefined): Promise<void> {
    const { admission, planner, log } = this.#options;
    if (entry.actual?.phase === 'Running') resolveWaiters(entry, entry.actual);
    await admission.perform(entry, action, desired);
    const before = entry.unheld;
    entry.unheld = null;
    const { action: next } = planner.look(entry);
    if (next.kind !== 'update' || !areAmong(next.changes, action.changes)) return;
    const tries = (before?.tries ?? 0) + 1;
    entry.unheld = { changes: next.changes, tries, until: Date.now() + backoffMs(tries) };
    if (tries === 1)
      log.warn({ ...describe(entry), changes: next.changes }, 'what was changed in place is not held');
  }

  #settle(entry: Entry, plan: Plan, desired: Desired | undefined): void {
    this.schedule(entry, plan);
    if (entry.waiters.size === 0) return;
    if (entry.actual?.phase === 'Running') resolveWaiters(entry, entry.actual);
    else if (desired === undefined) rejectWaiters(entry, new PolicyUnknownError(entry.key.policy));
    else rejectWaiters(entry, new StartTimeoutError(`The terminal is ${plan.action.reason}.`, 'Try again.'));
  }

  /** @param asked whether somebody waited when the work began; who came since is served by the work queued for them. */
  #failed(entry: Entry, error: unknown, asked: boolean): void {
    const { signal, log, deadlines } = this.#options;
    if (asked) rejectWaiters(entry, error);
    if (signal.aborted) return;
    entry.failures += 1;
    if (entry.actual?.phase !== 'Error') entry.observed = false;
    const level = error instanceof TerminalsError ? 'warn' : 'error';
    log[level]({ ...describe(entry), err: error, failures: entry.failures }, 'reconcile failed');
    // Who asked has the answer and asks again when he likes; what nobody asked for is tried again later.
    if (!asked && (entry.actual !== undefined || entry.kept)) {
      deadlines.set(entry.name, Date.now() + backoffMs(entry.failures));
    }
  }
}
