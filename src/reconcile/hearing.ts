/**
 * What the backend tells of its own accord, taken up: one terminal that changed, or all of them.
 * @module
 */
import type { BackendListener } from '../backend/backend.ts';
import { discoveryUser } from '../terminal/names.ts';
import type { Actual, TerminalKey, TerminalName } from '../terminal/terminal.ts';
import type { Admission } from './admission.ts';
import type { Observations } from './observations.ts';
import type { WorkQueue } from './queue.ts';
import type { Entry, Registry } from './registry.ts';

export interface HearingOptions {
  readonly registry: Registry;
  readonly observations: Pick<Observations, 'observe' | 'count'>;
  readonly queue: Pick<WorkQueue, 'add' | 'isRunning'>;
  readonly admission: Pick<Admission, 'limited' | 'warm'>;
  /** A terminal's last use as it was saved, where the backend does not know it. Epoch milliseconds. */
  readonly savedActivity: (name: TerminalName) => number | null;
  /** Plans what is to be done with one terminal. */
  readonly look: (entry: Entry) => void;
  /** Told when all terminals were taken up. */
  readonly listed: () => void;
}

export class Hearing implements BackendListener {
  readonly #options: HearingOptions;
  #synced = false;

  constructor(options: HearingOptions) {
    this.#options = options;
  }

  /** Whether all terminals were taken up once. */
  get synced(): boolean {
    return this.#synced;
  }

  get count(): number {
    return this.#options.observations.count;
  }

  changed(key: TerminalKey, actual: Actual | undefined, since = this.count): void {
    const { registry, queue, admission, look } = this.#options;
    if (key.user === discoveryUser) return;
    const entry = registry.entry(key, this.#lastActivity(actual));
    if (entry.taken) return;
    // What is told while it is worked on, or was done with it since, is no longer how it is: the backend is asked.
    if (this.#isOutOfDate(entry, since)) {
      entry.observed = false;
      entry.stale = true;
      queue.add(entry.name, false);
      return;
    }
    this.#hear(entry, actual);
    admission.warm.follow();
    look(entry);
    registry.prune(entry);
  }

  relisted(all: readonly Actual[], since = this.count): void {
    const { registry, admission, listed } = this.#options;
    const known = (entry: Entry) => entry.taken || this.#isOutOfDate(entry, since);
    const seen = new Set<TerminalName>();
    for (const actual of all) {
      if (actual.key.user === discoveryUser) continue;
      seen.add(actual.name);
      const entry = registry.get(actual.name) ?? registry.entry(actual.key, this.#lastActivity(actual));
      if (!known(entry)) this.#hear(entry, actual);
    }
    for (const entry of registry.all()) {
      if (!seen.has(entry.name) && !known(entry)) this.#hear(entry, undefined);
    }
    this.#synced = true;
    admission.warm.follow();
    listed();
  }

  /** Whether something is being done with a terminal, or was after what is told of it was so. */
  #isOutOfDate({ name, leaving, recordedAt }: Entry, since: number): boolean {
    return this.#options.queue.isRunning(name) || leaving !== null || recordedAt > since;
  }

  /** What is heard may be older than what was done since: it says that something is to be done, and not yet what. */
  #hear(entry: Entry, actual: Actual | undefined): void {
    const { observations, queue, admission } = this.#options;
    const { heldBytes } = entry;
    observations.observe(entry, actual);
    entry.observed = false;
    if (entry.heldBytes !== null || heldBytes === null || !admission.limited) return;
    // Its room is another's only once the backend was asked.
    entry.heldBytes = heldBytes;
    queue.add(entry.name, false);
  }

  #lastActivity(actual: Actual | undefined): number {
    if (actual === undefined) return Date.now();
    return actual.lastActivityAt ?? this.#options.savedActivity(actual.name) ?? Date.now();
  }
}
