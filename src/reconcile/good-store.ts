/**
 * The last revision of each policy that ran, over a restart: a small file, so that a bad edit is still held back after one.
 * It is a hint, no database: without it a policy's newest revision is taken as it is.
 * @module
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import { revisionOf } from '../terminal/desired.ts';
import type { PolicyId, Workload } from '../terminal/terminal.ts';
import type { GoodWorkload } from './rollouts.ts';

export class GoodStore {
  readonly #file: string;
  readonly #log: Logger;
  #writing: Promise<void> = Promise.resolve();

  /** @param dataDir the data directory; the file is `.terminals/good-revisions.json` below it. */
  constructor(dataDir: string, log: Logger) {
    this.#file = path.join(dataDir, '.terminals', 'good-revisions.json');
    this.#log = log;
  }

  /** What was saved; nothing, with a word in the log, where it can't be read. */
  async load(): Promise<ReadonlyMap<PolicyId, GoodWorkload>> {
    try {
      const content: unknown = JSON.parse(await readFile(this.#file, 'utf8'));
      if (typeof content !== 'object' || content === null) throw new SyntaxError('not a map of policies');
      return new Map(Object.entries(content).flatMap(([policy, value]) => entryOf(policy, value)));
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (!missing) this.#log.warn({ err: error, file: this.#file }, 'good revisions could not be read');
      return new Map();
    }
  }

  /** Writes it whole and atomically, one writing after the other; says so in the log when it can't. */
  save(good: ReadonlyMap<PolicyId, GoodWorkload>): Promise<void> {
    const workloads = [...good].map(([policy, { workload }]) => [policy, workload]);
    const content = JSON.stringify(Object.fromEntries(workloads));
    this.#writing = this.#writing.then(() => this.#write(content));
    return this.#writing;
  }

  /** Resolves when nothing is left to be written. */
  saved(): Promise<void> {
    return this.#writing;
  }

  async #write(content: string): Promise<void> {
    try {
      await mkdir(path.dirname(this.#file), { recursive: true });
      await writeFile(`${this.#file}.new`, content, { mode: 0o600 });
      await rename(`${this.#file}.new`, this.#file);
    } catch (error) {
      this.#log.warn({ err: error, file: this.#file }, 'good revisions could not be saved');
    }
  }
}

/** The revision is made anew from the workload: what was saved by another version, in another form, is no good one. */
function entryOf(policy: string, value: unknown): readonly (readonly [PolicyId, GoodWorkload])[] {
  try {
    const workload = value as Workload;
    return [[policy as PolicyId, { revision: revisionOf(workload), workload }]];
  } catch {
    return [];
  }
}
