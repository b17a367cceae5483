/**
 * Several orchestrators as one: a Lease says which of them sees to what nobody waits for, an annotation on the ConfigMap that
 * they share has all of them look.
 * @module
 */
import { type LeaderOptions, runAsLeader } from '../../kubernetes/leader.ts';
import type { Peers } from '../backend.ts';
import type { ClusterRevisions } from './cluster-revisions.ts';

export interface ClusterPeersOptions extends LeaderOptions {
  /** Nobody leads who does not know them. */
  readonly revisions: Pick<ClusterRevisions, 'synced' | 'request' | 'onRequest'>;
}

export class ClusterPeers implements Peers {
  readonly #options: ClusterPeersOptions;
  readonly #closing = new AbortController();
  #leads = false;
  #ended: Promise<void> = Promise.resolve();
  #asking: Promise<void> = Promise.resolve();

  constructor(options: ClusterPeersOptions) {
    this.#options = options;
  }

  get leads(): boolean {
    return this.#leads;
  }

  stand(changed: () => void, until: AbortSignal): void {
    const signal = AbortSignal.any([until, this.#closing.signal]);
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
      await Promise.race([this.#options.revisions.synced, over]);
      if (!leading.aborted) turn(true);
      await over;
    };
    this.#ended = runAsLeader(this.#options, lead, signal);
  }

  ask(): void {
    this.#asking = this.#options.revisions
      .request()
      .catch((error: unknown) =>
        this.#options.log.warn(
          { err: error },
          'the other replicas could not be told to look; they do so in turn',
        ),
      );
  }

  onAsked(listener: () => void): void {
    this.#options.revisions.onRequest(listener);
  }

  /** Leads no more; resolves when the Lease was given back. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#asking;
    await this.#ended;
  }
}
