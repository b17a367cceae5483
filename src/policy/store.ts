/**
 * The policy set in force, kept up to date from its source.
 * @module
 */
import type { Logger } from 'pino';
import type { PolicySet, PolicySource, Problem } from './policy.ts';
import type { PolicyMemory } from './policy-memory.ts';
import { buildPolicySet, type PolicyRules, sameSpec } from './policy-set.ts';

export interface PolicyStoreOptions {
  readonly source: PolicySource;
  readonly rules: PolicyRules;
  readonly log: Logger;
  /** Knows over a restart what was in force; absent: nothing does. */
  readonly memory?: Pick<PolicyMemory, 'load' | 'save' | 'saved'>;
}

export class PolicyStore {
  readonly #options: PolicyStoreOptions;
  readonly #listeners = new Set<(next: PolicySet, previous: PolicySet) => void>();
  /** Problems said in the log, so that a reload says only new ones. */
  #said = new Set<string>();
  #current: PolicySet;
  #reading: Promise<void> | null = null;
  #readAgain = false;

  constructor(options: PolicyStoreOptions) {
    this.#options = options;
    this.#current = buildPolicySet([], null, options.rules);
  }

  get current(): PolicySet {
    return this.#current;
  }

  /** Calls back after a policy in force changed. */
  onChange(listener: (next: PolicySet, previous: PolicySet) => void): void {
    this.#listeners.add(listener);
  }

  /** Reads once, then follows the source until the signal aborts. */
  async start(signal: AbortSignal): Promise<void> {
    const { source, log, rules, memory } = this.#options;
    this.#current = await this.#read((await memory?.load(rules)) ?? null);
    memory?.save(this.#current);
    this.#sayProblems(this.#current.problems);
    log.info({ source: source.description, policies: [...this.#current.policies.keys()] }, 'policies loaded');
    source.watch(() => void this.reload(), signal);
    source.report?.(this.#current);
  }

  /** Reads the source anew; joined, so that a change in the middle of a reading leads to one more. */
  reload(): Promise<void> {
    if (this.#reading) {
      this.#readAgain = true;
      return this.#reading;
    }
    this.#reading = this.#readUntilQuiet().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  /** Resolves when what is in force is known to a start after this one. */
  async saved(): Promise<void> {
    await this.#options.memory?.saved();
  }

  async #readUntilQuiet(): Promise<void> {
    do {
      this.#readAgain = false;
      try {
        this.#take(await this.#read(this.#current));
      } catch (error) {
        this.#options.log.error({ err: error }, 'policies could not be read; those in force stay');
      }
    } while (this.#readAgain);
  }

  async #read(previous: PolicySet | null): Promise<PolicySet> {
    const { source, rules } = this.#options;
    const files = await source.read();
    const set = buildPolicySet(files, previous, rules);
    const { source: revision, signers } =
      'unavailable' in files ? (previous ?? {}) : { source: source.revision, signers: source.signers };
    return {
      ...set,
      ...(typeof revision === 'string' ? { source: revision } : {}),
      ...(typeof signers === 'string' ? { signers } : {}),
    };
  }

  #take(next: PolicySet): void {
    const previous = this.#current;
    this.#sayProblems(next.problems);
    // Unchanged specs stay the same objects, so that what was made of them stays, too.
    const policies = new Map(
      [...next.policies].map(([id, policy]) => {
        const before = previous.policies.get(id);
        const same = before !== undefined && sameSpec(before.spec, policy.spec);
        return [id, same ? { ...policy, spec: before.spec } : policy];
      }),
    );
    this.#current = { ...next, policies };
    this.#options.memory?.save(this.#current);
    this.#options.source.report?.(this.#current);
    if (next.revision === previous.revision) return;
    this.#sayChange(next, previous);
    for (const listener of this.#listeners) listener(this.#current, previous);
  }

  #sayChange(next: PolicySet, previous: PolicySet): void {
    const changed = [...next.policies.values()].filter(({ id, spec }) => {
      const before = previous.policies.get(id);
      return before !== undefined && !sameSpec(before.spec, spec);
    });
    this.#options.log.info(
      {
        revision: next.revision,
        added: [...next.policies.keys()].filter((id) => !previous.policies.has(id)),
        changed: changed.map(({ id }) => id),
        removed: [...previous.policies.keys()].filter((id) => !next.policies.has(id)),
      },
      'policies changed',
    );
  }

  #sayProblems(problems: readonly Problem[]): void {
    const said = new Set<string>();
    for (const problem of problems) {
      const text = problemText(problem);
      said.add(text);
      if (this.#said.has(text)) continue;
      this.#options.log[problem.severity === 'error' ? 'error' : 'warn'](
        { file: problem.file, line: problem.line },
        text,
      );
    }
    this.#said = said;
  }
}

/** One line: `file:line:column: error: path: message (hint)`. */
export function problemText({ file, line, column, severity, path, message, hint }: Problem): string {
  const where = path === '' ? '' : `${path}: `;
  return `${file}:${line}:${column}: ${severity}: ${where}${message}${hint === '' ? '' : ` (${hint})`}`;
}
