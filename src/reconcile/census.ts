/**
 * How many terminals of each policy run, and which are on their way, kept as they are observed: nobody has to count them all.
 * @module
 */
import type { Actual, PolicyId, Revision, TerminalName } from '../terminal/terminal.ts';

/** A terminal that an operator brings up. */
interface Starting {
  readonly revision: Revision;
  /** Epoch milliseconds at which it was first seen so. */
  readonly since: number;
}

interface Count {
  running: number;
  readonly starting: Map<TerminalName, Starting>;
}

export class Census {
  readonly #counts = new Map<PolicyId, Count>();
  readonly #passed: (policy: PolicyId) => void;
  readonly #now: () => number;

  /** @param passed told when a terminal that was on its way runs, failed, or is gone */
  constructor(passed: (policy: PolicyId) => void, now: () => number = Date.now) {
    this.#passed = passed;
    this.#now = now;
  }

  /** Takes what a terminal was believed to be, and what it is now. */
  take(before: Actual | undefined, after: Actual | undefined): void {
    const terminal = after ?? before;
    if (terminal === undefined) return;
    const { policy } = terminal.key;
    const count = this.#counts.get(policy) ?? { running: 0, starting: new Map() };
    this.#counts.set(policy, count);
    count.running += Number(after?.phase === 'Running') - Number(before?.phase === 'Running');
    this.#takeStarting(count, policy, terminal.name, after);
    if (count.running === 0 && count.starting.size === 0) this.#counts.delete(policy);
  }

  /** How many terminals of a policy run. */
  running(policy: PolicyId): number {
    return this.#counts.get(policy)?.running ?? 0;
  }

  /** Those that are on their way to a revision, whichever process sees to them, for less than `withinMs` so far. */
  starting(policy: PolicyId, revision: Revision, withinMs: number): readonly TerminalName[] {
    const since = this.#now() - withinMs;
    return [...(this.#counts.get(policy)?.starting ?? [])]
      .filter(([, starting]) => starting.revision === revision && starting.since > since)
      .map(([name]) => name);
  }

  #takeStarting({ starting }: Count, policy: PolicyId, name: TerminalName, after: Actual | undefined): void {
    const known = starting.get(name);
    const goesOn = after?.operated === true && after.phase === 'Provisioning';
    if (goesOn && known?.revision === after.revision) return;
    if (goesOn) starting.set(name, { revision: after.revision, since: this.#now() });
    else starting.delete(name);
    if (known !== undefined) this.#passed(policy);
  }
}
