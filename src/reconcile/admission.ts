/**
 * Carrying out plans within what the host has room for: a terminal that is to run takes its room before it starts, and where
 * somebody waits for it, it is made from one that is warm.
 * @module
 */
import type { Backend } from '../backend/backend.ts';
import { OverBudgetError } from '../errors.ts';
import type { PolicySet } from '../policy/policy.ts';
import { isNobody } from '../terminal/names.ts';
import type { Action } from '../terminal/plan.ts';
import type { Desired, TerminalName } from '../terminal/terminal.ts';
import type { Actions } from './actions.ts';
import { Budget, type HostLimits } from './budget.ts';
import type { Planner } from './planner.ts';
import { Entry, type Registry } from './registry.ts';
import type { Rollouts } from './rollouts.ts';
import type { UsedElsewhere } from './used-elsewhere.ts';
import { WarmPool } from './warm-pool.ts';

export interface AdmissionOptions {
  readonly backend: Pick<Backend, 'claim'>;
  readonly policies: { readonly current: PolicySet };
  /** absent: there is room for everything. */
  readonly host?: HostLimits | undefined;
  readonly registry: Registry;
  readonly rollouts: Pick<Rollouts, 'stateOf' | 'templateOf'>;
  readonly planner: Pick<Planner, 'template'>;
  readonly actions: Pick<Actions, 'perform' | 'obey' | 'inspect'>;
  /** absent: nobody else uses any. */
  readonly elsewhere?: UsedElsewhere | undefined;
  readonly queue: {
    isRunning(name: TerminalName): boolean;
    settled(name: TerminalName): Promise<void>;
    add(name: TerminalName, urgent: boolean): void;
  };
  /** Whether it is known what there is; `resync` finds out. */
  readonly synced: () => boolean;
  readonly resync: () => Promise<void>;
  readonly signal: AbortSignal;
}

export class Admission {
  readonly warm: WarmPool;
  readonly #options: AdmissionOptions;
  readonly #budget: Budget;

  constructor(options: AdmissionOptions) {
    const { host, planner, queue, synced } = options;
    this.#options = options;
    const busy = ({ name }: Entry) => queue.isRunning(name);
    this.#budget = new Budget({
      limits: host ?? { terminals: null, memoryBytes: null },
      registry: options.registry,
      declared: (entry) => planner.template(entry),
      busy,
      vacate: (entry) => this.#vacate(entry),
    });
    this.warm = new WarmPool({
      ...options,
      budget: this.#budget,
      busy,
      known: synced,
      look: (name) => queue.add(name, false),
    });
  }

  /** Whether there is room for so much only. */
  get limited(): boolean {
    return this.#budget.limited;
  }

  /** As `Actions.perform`. @throws what that throws; OverBudgetError where there is no room for a start */
  async perform(entry: Entry, action: Action, desired: Desired | undefined): Promise<void> {
    const { actions, synced, resync } = this.#options;
    if (desired === undefined || !isStart(action)) return actions.perform(entry, action, desired);
    // What is not known yet takes room as well.
    if (this.#budget.limited && !synced()) await resync();
    const asked = entry.waiters.size > 0;
    // Beside one that still runs there would be two in the room of one.
    const vacant = entry.actual === undefined || entry.actual.phase === 'Idle';
    const claim = asked && vacant && action.kind !== 'start' ? this.warm.take(desired) : null;
    let leave: (() => void) | null = null;
    try {
      leave = await this.#budget.admit(entry, desired.limits.memoryBytes, asked);
      await actions.perform(entry, action, desired, claim);
    } catch (error) {
      // It may run all the same, and then it has its room.
      if (leave !== null && this.#budget.limited && entry.heldBytes === null) {
        await actions.inspect(entry).catch(() => {
          entry.heldBytes = desired.limits.memoryBytes;
        });
      }
      throw error;
    } finally {
      claim?.end();
      leave?.();
    }
  }

  /**
   * Takes the room for a terminal that is started elsewhere, as a request for one would; what is returned must be called when
   * that is gone again.
   * @throws OverBudgetError
   */
  admit({ key, name, limits }: Desired): Promise<() => void> {
    return this.#budget.admit(new Entry(key, name, Date.now()), limits.memoryBytes, true);
  }

  /** Ends the run of a terminal that nobody uses, so that there is room for another. */
  async #vacate(entry: Entry): Promise<void> {
    const { actions, queue, registry } = this.#options;
    const reason = 'to make room for a terminal that is asked for';
    if (!isNobody(entry.key.user)) {
      await this.#throwIfUsed(entry);
      await actions.obey(entry, { kind: 'stop', reason }, undefined);
      return actions.inspect(entry);
    }
    entry.kept = false;
    await queue.settled(entry.name);
    const there = entry.actual !== undefined || !entry.observed;
    if (there) await actions.obey(entry, { kind: 'delete', reason }, undefined);
    registry.drop(entry);
  }

  /** It was idle as far as was known. @throws OverBudgetError where another process has begun to use it meanwhile */
  async #throwIfUsed(entry: Entry): Promise<void> {
    const { elsewhere } = this.#options;
    if (!elsewhere?.isHeld(entry.name)) return;
    const { lastActivityAt } = entry;
    await elsewhere.recall(entry.name);
    if (entry.lastActivityAt <= lastActivityAt && entry.inFlight === 0 && entry.sockets === 0) return;
    throw new OverBudgetError(
      'The terminal that was to make room for this one has just been used again.',
      'Try again: another one may be idle.',
    );
  }
}

/** Whether the terminal comes to run by it. */
function isStart({ kind }: Action): boolean {
  return kind === 'create' || kind === 'start' || kind === 'replace';
}
