/**
 * What is known of how the policies' revisions fare: by this process at once, and by the record for others and a restart.
 * @module
 */
import { isDeepStrictEqual } from 'node:util';
import type { RevisionRecord } from '../backend/backend.ts';
import { type GoodWorkload, type Revisions, type Trial, unknownRevisions } from '../terminal/revisions.ts';
import type { PolicyId, Revision } from '../terminal/terminal.ts';

export class KnownRevisions {
  readonly #record: RevisionRecord | undefined;
  readonly #known = new Map<PolicyId, Revisions>();

  /** @param record absent: this process alone knows */
  constructor(record: RevisionRecord | undefined) {
    this.#record = record;
  }

  /** Takes up what was known before this process began, and calls back with what others find out until the signal aborts. */
  async load(learned: (policy: PolicyId) => void, signal: AbortSignal): Promise<void> {
    for (const [policy, known] of (await this.#record?.load()) ?? []) this.#known.set(policy, known);
    this.#record?.follow?.((policy, known) => {
      if (isDeepStrictEqual(this.#of(policy), known)) return;
      this.#known.set(policy, known);
      learned(policy);
    }, signal);
  }

  /** The workload that ran last; null: none has. */
  goodOf(policy: PolicyId): GoodWorkload | null {
    return this.#of(policy).good;
  }

  /** What came of this revision so far; null: nothing failed. */
  trialOf(policy: PolicyId, revision: Revision): Trial | null {
    const { trial } = this.#of(policy);
    return trial?.revision === revision ? trial : null;
  }

  change(policy: PolicyId, change: (known: Revisions) => Revisions): void {
    const before = this.#of(policy);
    const after = change(before);
    if (after === before) return;
    this.#known.set(policy, after);
    this.#record?.change(policy, change);
  }

  /** Resolves when nothing is left to be written. */
  async saved(): Promise<void> {
    await this.#record?.saved?.();
  }

  #of(policy: PolicyId): Revisions {
    return this.#known.get(policy) ?? unknownRevisions;
  }
}
