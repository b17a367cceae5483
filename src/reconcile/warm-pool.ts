/**
 * Terminals that are started before anybody asks. Each is a terminal like any other whose user is nobody, so that the loop
 * makes it, updates it and replaces it as it does all others; here is only how many there are, and who gets one.
 * @module
 */
import { randomBytes } from 'node:crypto';
import type { Backend } from '../backend/backend.ts';
import type { Policy, PolicySet } from '../policy/policy.ts';
import { nobody } from '../terminal/names.ts';
import { isOutdated } from '../terminal/plan.ts';
import type { Desired, PolicyId, RunningTerminal, TerminalName } from '../terminal/terminal.ts';
import type { Budget, Room } from './budget.ts';
import type { Entry, Registry } from './registry.ts';
import type { Rollouts } from './rollouts.ts';

export interface WarmPoolOptions {
  readonly backend: Pick<Backend, 'claim'>;
  readonly policies: { readonly current: PolicySet };
  readonly registry: Registry;
  readonly rollouts: Pick<Rollouts, 'stateOf' | 'templateOf'>;
  readonly budget: Pick<Budget, 'left'>;
  readonly busy: (entry: Entry) => boolean;
  /** Whether it is known what there is. */
  readonly known: () => boolean;
  /** Has a terminal looked at. */
  readonly look: (name: TerminalName) => void;
  readonly signal: AbortSignal;
}

/** One that is nobody's and meant for somebody now; `end` must follow. */
export interface Claim {
  /** Makes it theirs; null: that is not possible. @throws EngineUnavailableError */
  use(): Promise<RunningTerminal | null>;
  end(): void;
}

export class WarmPool {
  readonly #options: WarmPoolOptions;

  constructor(options: WarmPoolOptions) {
    this.#options = options;
  }

  /** Has as many kept as the policies declare and the host has room for; the loop does the rest. */
  follow(): void {
    const { policies, registry, budget, known, signal } = this.#options;
    if (signal.aborted || !known()) return;
    const { current } = policies;
    for (const id of registry.nobodysPolicies()) {
      const policy = current.policies.get(id);
      if (!policy?.spec.suspend) this.#adopt(id, policy ? this.#wanted(policy) : 0);
    }
    if (registry.nobodysPolicies().length > 0) this.#shrink(budget.left);
    for (const policy of current.policies.values()) {
      if (policy.spec.warm > 0) this.#fill(policy);
    }
  }

  /** One that runs with this revision, for the user of `desired` and nobody else; null: there is none. */
  take(desired: Desired): Claim | null {
    const { registry, busy } = this.#options;
    for (const entry of registry.nobodys(desired.key.policy)) {
      const { actual } = entry;
      if (!entry.kept || entry.taken || entry.leaving !== null || busy(entry)) continue;
      if (actual?.phase !== 'Running' || isOutdated(actual, desired)) continue;
      entry.taken = true;
      return this.#claim(entry, actual, desired);
    }
    return null;
  }

  /** How many are ready to be somebody's, as the newest revision declares them. */
  ready(policy: Policy): number {
    const { revision } = this.#options.rollouts.stateOf(policy);
    let count = 0;
    for (const { actual, taken } of this.#options.registry.nobodys(policy.id))
      if (!taken && actual?.phase === 'Running' && actual.revision === revision) count += 1;
    return count;
  }

  /** Whether there is one on which a new revision can be tried before any user's terminal. */
  triesFirst(policy: PolicyId): boolean {
    for (const { kept, taken } of this.#options.registry.nobodys(policy)) if (kept && !taken) return true;
    return false;
  }

  #claim(entry: Entry, warm: RunningTerminal, desired: Desired): Claim {
    const { backend, registry, look, signal } = this.#options;
    let claimed = false;
    return {
      use: async () => {
        const terminal = (await backend.claim?.(warm, desired, signal)) ?? null;
        claimed = terminal !== null;
        return terminal;
      },
      end: () => {
        entry.taken = false;
        // Another may have its place by now.
        entry.kept = false;
        if (claimed) registry.drop(entry);
        this.follow();
        if (claimed) return;
        // Whatever became of it: the engine says.
        entry.observed = false;
        look(entry.name);
      },
    };
  }

  /** 0 where the backend can't have any. */
  #wanted({ spec }: Policy): number {
    return this.#options.backend.claim === undefined ? 0 : spec.warm;
  }

  /** Keeps so many of those that there are, also of those that an earlier process left; the others may go. */
  #adopt(policy: PolicyId, wanted: number): void {
    const { registry, busy } = this.#options;
    const there = [...registry.nobodys(policy)].filter(({ taken, leaving }) => !taken && leaving === null);
    let kept = 0;
    for (const entry of there.sort(byWorth)) {
      if (kept < wanted && (entry.kept || (!busy(entry) && this.#hasRoom(entry)))) {
        entry.kept = true;
        kept += 1;
      } else if (entry.kept) this.#letGo(entry);
    }
  }

  /** Whether the host has room for it; one that runs has it already, unless there is too little for all. */
  #hasRoom(entry: Entry): boolean {
    const { terminals, memoryBytes } = this.#options.budget.left;
    return entry.heldBytes !== null
      ? terminals >= 0 && memoryBytes >= 0
      : terminals >= 1 && memoryBytes >= this.#declaredBytes(entry);
  }

  /** Where there is more on the host than there may be, what is nobody's goes. */
  #shrink({ terminals, memoryBytes }: Room): void {
    const { registry } = this.#options;
    let over = { terminals: -terminals, memoryBytes: -memoryBytes };
    const all = registry.nobodysPolicies().flatMap((id) => [...registry.nobodys(id)]);
    // Those first that go already, those last that are worth most.
    for (const entry of all.filter(({ taken }) => !taken).sort((a, b) => byWorth(b, a))) {
      if (over.terminals <= 0 && over.memoryBytes <= 0) return;
      const bytes = entry.actual?.limits?.memoryBytes ?? this.#declaredBytes(entry);
      over = { terminals: over.terminals - 1, memoryBytes: over.memoryBytes - bytes };
      if (entry.kept) this.#letGo(entry);
    }
  }

  #declaredBytes({ key, name }: Entry): number {
    const { rollouts, policies } = this.#options;
    const policy = policies.current.policies.get(key.policy);
    return policy ? rollouts.templateOf(policy, name).limits.memoryBytes : 0;
  }

  #letGo(entry: Entry): void {
    entry.kept = false;
    this.#options.look(entry.name);
  }

  #fill(policy: Policy): void {
    const { registry, look } = this.#options;
    if (policy.spec.suspend) return;
    const there = [...registry.nobodys(policy.id)].filter(({ kept, taken }) => kept && !taken);
    for (let missing = this.#wanted(policy) - there.length; missing > 0; missing -= 1) {
      const key = { policy: policy.id, user: nobody(randomBytes(8).toString('hex')), context: null };
      const entry = registry.entry(key, Date.now());
      if (!this.#hasRoom(entry)) {
        registry.drop(entry);
        return;
      }
      entry.kept = true;
      look(entry.name);
    }
  }
}

/** Kept ones before others, and of both those that run. */
function byWorth(a: Entry, b: Entry): number {
  const worth = ({ kept, actual }: Entry) => (kept ? 2 : 0) + (actual?.phase === 'Running' ? 1 : 0);
  return worth(b) - worth(a);
}
