/**
 * Which of several orchestrators sees to what nobody waits for, by a Lease.
 * @module
 */
import { type LeaderOptions, runAsLeader } from '../../kubernetes/leader.ts';
import type { Leadership } from '../backend.ts';

export interface ClusterLeadershipOptions extends LeaderOptions {
  /** Resolves when enough is known of the cluster to lead. */
  readonly ready: () => Promise<void>;
}

export class ClusterLeadership implements Leadership {
  readonly #options: ClusterLeadershipOptions;
  #leads = false;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: ClusterLeadershipOptions) {
    this.#options = options;
  }

  get leads(): boolean {
    return this.#leads;
  }

  stand(changed: () => void, signal: AbortSignal): void {
    const turn = (leads: boolean) => {
      if (this.#leads === leads) return;
      this.#leads = leads;
      if (!signal.aborted) changed();
    };
    const lead = async (leading: AbortSignal) => {
      if (leading.aborted) return;
      const over = new Promise<void>((resolve) =>
        leading.addEventListener('abort', () => resolve(), { once: true }),
      );
      // At once, before anybody else can begin.
      leading.addEventListener('abort', () => turn(false), { once: true });
      await Promise.race([this.#options.ready(), over]);
      if (!leading.aborted) turn(true);
      await over;
    };
    this.#ended = runAsLeader(this.#options, lead, signal);
  }

  /** Resolves when the Lease was given back, after the signal that `stand` was given aborted. */
  ended(): Promise<void> {
    return this.#ended;
  }
}
