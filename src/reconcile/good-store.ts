/**
 * The last revision of each policy that ran, over a restart: a small file, so that a bad edit is still held back after one.
 * It is a hint, no database: without it a policy's newest revision is taken as it is.
 * @module
 */
import type { Logger } from 'pino';
import { revisionOf } from '../terminal/desired.ts';
import type { PolicyId, Workload } from '../terminal/terminal.ts';
import { HintFile } from './hint-file.ts';
import type { GoodWorkload } from './rollouts.ts';

export class GoodStore {
  readonly #file: HintFile;
  #writing: Promise<unknown> = Promise.resolve();

  /** @param dataDir the data directory; the file is `.terminals/good-revisions.json` below it. */
  constructor(dataDir: string, log: Logger) {
    this.#file = new HintFile(dataDir, 'good-revisions.json', 'good revisions', log);
  }

  /** What was saved; nothing where it can't be read. */
  async load(): Promise<ReadonlyMap<PolicyId, GoodWorkload>> {
    const content = (await this.#file.read()) ?? {};
    return new Map(Object.entries(content).flatMap(([policy, value]) => entryOf(policy, value)));
  }

  /** One writing after the other. */
  save(good: ReadonlyMap<PolicyId, GoodWorkload>): void {
    const workloads = [...good].map(([policy, { workload }]) => [policy, workload]);
    const content = JSON.stringify(Object.fromEntries(workloads));
    this.#writing = this.#writing.then(() => this.#file.write(content));
  }

  /** Resolves when nothing is left to be written. */
  async saved(): Promise<void> {
    await this.#writing;
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
