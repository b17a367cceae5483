/**
 * The last revision of each policy that ran, over a restart: a small file, so that a bad edit is still held back after one.
 * It is a hint, no database: without it a policy's newest revision is taken as it is.
 * @module
 */
import type { Logger } from 'pino';
import type { RevisionRecord } from '../backend/backend.ts';
import { type Revisions, unknownRevisions } from '../terminal/revisions.ts';
import type { PolicyId } from '../terminal/terminal.ts';
import { HintFile } from './hint-file.ts';
import { goodOf } from './revisions-text.ts';

export class GoodStore implements RevisionRecord {
  readonly #file: HintFile;
  readonly #known = new Map<PolicyId, Revisions>();
  #writing: Promise<unknown> = Promise.resolve();

  /** @param dataDir the data directory; the file is `.terminals/good-revisions.json` below it. */
  constructor(dataDir: string, log: Logger) {
    this.#file = new HintFile(dataDir, 'good-revisions.json', 'good revisions', log);
  }

  /** What was saved; nothing where it can't be read. */
  async load(): Promise<ReadonlyMap<PolicyId, Revisions>> {
    for (const [policy, workload] of Object.entries((await this.#file.read()) ?? {})) {
      const good = goodOf(workload);
      if (good !== null) this.#known.set(policy as PolicyId, { good, trial: null });
    }
    return new Map(this.#known);
  }

  /** Only what ran is written: what failed is tried again after a restart. One writing after the other. */
  change(policy: PolicyId, change: (known: Revisions) => Revisions): void {
    const before = this.#known.get(policy) ?? unknownRevisions;
    const after = change(before);
    this.#known.set(policy, after);
    if (after.good === before.good) return;
    const workloads = [...this.#known].flatMap(([id, { good }]) => (good ? [[id, good.workload]] : []));
    const content = JSON.stringify(Object.fromEntries(workloads));
    this.#writing = this.#writing.then(() => this.#file.write(content));
  }

  /** Resolves when nothing is left to be written. */
  async saved(): Promise<void> {
    await this.#writing;
  }
}
