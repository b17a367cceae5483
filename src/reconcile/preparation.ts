/**
 * Making ahead of need what the terminals of all policies start from, and having removed what none needs any more.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Backend } from '../backend/backend.ts';
import { TerminalsError } from '../errors.ts';
import type { Policy, PolicySet } from '../policy/policy.ts';
import { revisionOf } from '../terminal/desired.ts';
import type { Workload } from '../terminal/terminal.ts';

export interface PreparationOptions {
  readonly backend: Pick<Backend, 'prepare' | 'collect'>;
  readonly policies: { readonly current: PolicySet; onChange(listener: () => void): void };
  /** All that terminals of a policy may be made from as things are. */
  readonly workloadsOf: (policy: Policy) => readonly Workload[];
  readonly log: Logger;
  /** How often it is looked again, whatever changed. */
  readonly intervalMs?: number;
}

export class Preparation {
  readonly #options: PreparationOptions;
  readonly #stopping = new AbortController();
  /** Ends the pause between two rounds. */
  #wake = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(options: PreparationOptions) {
    this.#options = options;
  }

  /** Does nothing where the backend makes nothing ahead. */
  start(): void {
    if (this.#options.backend.collect === undefined) return;
    this.#options.policies.onChange(() => this.#wake.abort());
    this.#running = this.#rounds();
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #rounds(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      this.#wake = new AbortController();
      const changed = this.#wake.signal;
      await this.#round(changed);
      const pause = { signal: AbortSignal.any([signal, changed]), ref: false };
      await sleep(this.#options.intervalMs ?? 5 * 60_000, undefined, pause).catch(() => undefined);
    }
  }

  async #round(changed: AbortSignal): Promise<void> {
    const { backend, log } = this.#options;
    const { signal } = this.#stopping;
    const workloads = this.#workloads();
    // One at a time: users' own starts come first.
    for (const workload of workloads.values()) {
      // Images alone are seen to where discovery starts a terminal from each.
      if (workload.packages.length + workload.pipPackages.length === 0) continue;
      if (changed.aborted || signal.aborted) return;
      const progress = (detail: string) => log.info({ image: workload.image, progress: detail }, 'preparing');
      await this.#attempt('what a policy needs could not be prepared', () =>
        backend.prepare(workload, progress, signal),
      );
    }
    // Those of policies that have changed meanwhile are not known here.
    if (changed.aborted || signal.aborted) return;
    await this.#attempt('what no policy needs any more could not be removed', async () =>
      backend.collect?.([...workloads.values()], signal),
    );
  }

  #workloads(): ReadonlyMap<string, Workload> {
    const { policies, workloadsOf } = this.#options;
    const all = [...policies.current.policies.values()].flatMap(workloadsOf);
    return new Map(all.map((workload) => [revisionOf(workload), workload]));
  }

  async #attempt(failed: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      this.#options.log[error instanceof TerminalsError ? 'warn' : 'error']({ err: error }, failed);
    }
  }
}
