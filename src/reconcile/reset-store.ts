/**
 * Since when each home is clean, over a restart: a small file, so that a reset that was missed is made up for, and only
 * once. It is a hint, no database: without it every schedule and every terminal counts as new, so that nothing is reset
 * that was not due since the start of this process.
 * @module
 */
import { rm } from 'node:fs/promises';
import type { Logger } from 'pino';
import { isMap } from '../json.ts';
import type { PolicyId, TerminalName } from '../terminal/terminal.ts';
import { HintFile } from './hint-file.ts';

/** What is known of a policy's resets. Times in epoch milliseconds. */
export interface SavedResets {
  readonly schedule: string;
  readonly timezone: string;
  /** When that schedule came into force: it says nothing of the time before. */
  readonly since: number;
  /** No moment before this one counts for the terminal: it was made, or reset, then. */
  readonly terminals: ReadonlyMap<TerminalName, number>;
}

export class ResetStore {
  readonly #file: HintFile;
  #writing: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;

  /** @param dataDir the data directory; the file is `.terminals/resets.json` below it. */
  constructor(dataDir: string, log: Logger) {
    this.#file = new HintFile(dataDir, 'resets.json', 'resets', log);
  }

  /** What was saved; nothing where it can't be read. */
  async load(): Promise<ReadonlyMap<PolicyId, SavedResets>> {
    const content = (await this.#file.read()) ?? {};
    return new Map(Object.entries(content).flatMap(([policy, value]) => entryOf(policy, value)));
  }

  /**
   * Writes what `current` holds at that moment; calls that wait already share one writing. Resolves when it is written.
   */
  save(current: ReadonlyMap<PolicyId, SavedResets>): Promise<void> {
    this.#next ??= this.#writing.then(() => {
      this.#next = null;
      return this.#write(contentOf(current));
    });
    this.#writing = this.#next;
    return this.#next;
  }

  /** Resolves when nothing is left to be written. */
  saved(): Promise<void> {
    return this.#writing;
  }

  async #write(content: string): Promise<void> {
    // An old one would have done again what was done already; none at all has nothing done.
    if (!(await this.#file.write(content))) await rm(this.#file.path, { force: true }).catch(() => undefined);
  }
}

function contentOf(current: ReadonlyMap<PolicyId, SavedResets>): string {
  const policies = [...current].map(([policy, { schedule, timezone, since, terminals }]) => [
    policy,
    { schedule, timezone, since, terminals: Object.fromEntries(terminals) },
  ]);
  return JSON.stringify(Object.fromEntries(policies));
}

/** Nothing where it is not what we wrote. */
function entryOf(policy: string, value: unknown): readonly (readonly [PolicyId, SavedResets])[] {
  if (!isMap(value) || !isMap(value.terminals)) return [];
  const { schedule, timezone, since } = value;
  if (typeof schedule !== 'string' || typeof timezone !== 'string' || typeof since !== 'number') return [];
  const terminals = Object.entries(value.terminals).flatMap(
    ([name, at]): readonly [TerminalName, number][] =>
      typeof at === 'number' ? [[name as TerminalName, at]] : [],
  );
  return [[policy as PolicyId, { schedule, timezone, since, terminals: new Map(terminals) }]];
}
