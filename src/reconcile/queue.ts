/**
 * A keyed work queue: one piece of work a terminal at a time, a bounded number in all, users' requests first.
 * @module
 */
import type { TerminalName } from '../terminal/terminal.ts';

export interface QueueOptions {
  /** How many terminals are worked on at once. */
  readonly concurrency: number;
  /** How many of those nobody waits for; fewer, so that convergence never holds up a user. */
  readonly background: number;
}

/** Runs the handler for names. A name added while its work runs is run once more after it. */
export class WorkQueue<Name extends string = TerminalName> {
  readonly #handle: (name: Name) => Promise<void>;
  readonly #options: QueueOptions;
  readonly #urgent = new Set<Name>();
  readonly #background = new Set<Name>();
  /** Names under work; the value says whether it counts as background. */
  readonly #running = new Map<Name, boolean>();
  readonly #idle = new Set<() => void>();
  /** Who waits for the work on one name to end. */
  readonly #waiting = new Map<Name, Set<() => void>>();
  #runningBackground = 0;
  #closed = false;

  /** @param handle must not reject: what fails is its own to deal with. */
  constructor(handle: (name: Name) => Promise<void>, options: QueueOptions) {
    this.#handle = handle;
    this.#options = options;
  }

  add(name: Name, urgent: boolean): void {
    if (this.#closed) return;
    if (urgent) {
      this.#background.delete(name);
      this.#urgent.add(name);
    } else if (!this.#urgent.has(name)) {
      this.#background.add(name);
    }
    this.#pump();
  }

  isRunning(name: Name): boolean {
    return this.#running.has(name);
  }

  /** Resolves when the work that is under way on a name has ended; at once where there is none. */
  settled(name: Name): Promise<void> {
    if (!this.#running.has(name)) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#waiting.get(name) ?? new Set();
    this.#waiting.set(name, waiting.add(resolve));
    return promise;
  }

  get depth(): number {
    return this.#urgent.size + this.#background.size;
  }

  /** Takes no more work; resolves when what runs has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#urgent.clear();
    this.#background.clear();
    if (this.#running.size === 0) return;
    await new Promise<void>((resolve) => this.#idle.add(resolve));
  }

  #pump(): void {
    this.#startFrom(this.#urgent, false);
    this.#startFrom(this.#background, true);
  }

  #startFrom(names: Set<Name>, background: boolean): void {
    for (const name of names) {
      if (this.#running.size >= this.#options.concurrency) return;
      if (background && this.#runningBackground >= this.#options.background) return;
      if (this.#running.has(name)) continue;
      names.delete(name);
      this.#start(name, background);
    }
  }

  #start(name: Name, background: boolean): void {
    this.#running.set(name, background);
    if (background) this.#runningBackground += 1;
    void this.#handle(name).finally(() => {
      this.#running.delete(name);
      if (background) this.#runningBackground -= 1;
      for (const resolve of this.#waiting.get(name) ?? []) resolve();
      this.#waiting.delete(name);
      if (this.#running.size === 0) {
        for (const resolve of this.#idle) resolve();
        this.#idle.clear();
      }
      this.#pump();
    });
  }
}
