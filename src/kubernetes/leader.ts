/**
 * One of several replicas leads, by a Lease, with the times and rules of client-go: whoever sees the Lease unchanged for its
 * whole duration, by its own clock, may take it; a leader that can't renew in time stops leading before that.
 * @module
 */
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { KubeClient } from './client.ts';
import { KubeError } from './kube-error.ts';
import { type KubeObject, pathOf, type Resource } from './objects.ts';

interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

export const leases: Resource<Lease> = {
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  plural: 'leases',
};

export interface LeaderOptions {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'request'>;
  readonly namespace: string;
  readonly name: string;
  /** Of this replica; unique. */
  readonly identity: string;
  readonly log: Logger;
  readonly leaseMs?: number;
  /** After this long without a renewal it no longer leads. Less than leaseMs. */
  readonly renewWithinMs?: number;
  readonly retryMs?: number;
}

const manager = 'terminals-leader-election';

/** A name for this process that no other has, and that says which Pod it is. */
export function replicaIdentity(): string {
  return `${hostname()}_${crypto.randomUUID().slice(0, 8)}`;
}

/** Runs `lead` whenever this replica leads, with a signal that says when it no longer does, until `signal` aborts. */
export async function runAsLeader(
  options: LeaderOptions,
  lead: (leading: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const election = new Election(options);
  while (!signal.aborted) {
    if ((await election.tryOnce(signal)) === 'held') {
      await election.hold(lead, signal);
      continue;
    }
    await delay(election.retryMs, undefined, { signal }).catch(() => undefined);
  }
}

class Election {
  readonly retryMs: number;
  readonly #options: LeaderOptions;
  readonly #leaseMs: number;
  readonly #renewWithinMs: number;
  /** The Lease as last seen and since when it is like that, by this clock. */
  #seen: { readonly version: string | undefined; readonly since: number } | null = null;
  /** By `performance.now()`, as every time here: nobody sets that clock. */
  #renewedAt = 0;

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? 15_000;
    this.#renewWithinMs = options.renewWithinMs ?? 10_000;
    this.retryMs = options.retryMs ?? 2_000;
  }

  /** Takes or renews the Lease. `others`: another holds it; `unknown`: the API server can't be asked within that time. */
  async tryOnce(signal: AbortSignal, withinMs = this.#renewWithinMs): Promise<'held' | 'others' | 'unknown'> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(Math.max(0, Math.floor(withinMs)))]);
    const startedAt = performance.now();
    try {
      const held = await this.#acquire(limit);
      if (held) this.#renewedAt = startedAt;
      return held ? 'held' : 'others';
    } catch (error) {
      // 409: another replica wrote at the same time.
      const lost = error instanceof KubeError && error.status === 409;
      if (!lost && !signal.aborted)
        this.#options.log.warn({ err: error }, 'the Lease could not be taken or renewed');
      return 'unknown';
    }
  }

  /** Leads until it can't renew in time or the signal aborts; then the Lease is given back, so that another need not wait. */
  async hold(lead: (leading: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { log, identity } = this.#options;
    const over = new AbortController();
    const leading = AbortSignal.any([signal, over.signal]);
    log.info({ identity }, 'leading');
    const work = lead(leading).finally(() => over.abort());
    while (!leading.aborted) {
      await delay(this.retryMs, undefined, { signal: leading }).catch(() => undefined);
      if (leading.aborted) continue;
      // One that hangs may not take longer than is left: others count from the last renewal, too.
      const endsAt = this.#renewedAt + this.#renewWithinMs;
      const renewal = await this.tryOnce(leading, endsAt - performance.now());
      const late = performance.now() + this.retryMs >= endsAt;
      if (renewal === 'others' || (renewal === 'unknown' && late)) over.abort();
    }
    await work.catch((error: unknown) => log.error({ err: error }, 'the work of the leader failed'));
    await this.#release();
    log.info({ identity }, 'no longer leading');
  }

  async #acquire(signal: AbortSignal): Promise<boolean> {
    const { client, namespace, name, identity } = this.#options;
    const lease = await client.get(leases, namespace, name, signal);
    const now = new Date().toISOString().replace('Z', '000Z');
    if (lease === undefined) {
      const fresh: Lease = {
        ...this.#object(),
        spec: { ...this.#spec(now), acquireTime: now, leaseTransitions: 0 },
      };
      await client.create(leases, fresh, manager, signal);
      return true;
    }
    const holder = lease.spec?.holderIdentity ?? '';
    const mine = holder === identity;
    if (!mine && holder !== '' && !this.#expired(lease)) return false;
    const transitions = lease.spec?.leaseTransitions ?? 0;
    const acquired = mine ? lease.spec?.acquireTime : now;
    await this.#update(
      {
        ...lease,
        spec: {
          ...this.#spec(now),
          acquireTime: acquired ?? now,
          leaseTransitions: transitions + (mine ? 0 : 1),
        },
      },
      signal,
    );
    return true;
  }

  /** Nobody's clock but ours counts, and it counts from when we saw the Lease change. */
  #expired(lease: Lease): boolean {
    const version = lease.metadata.resourceVersion;
    if (this.#seen?.version !== version) this.#seen = { version, since: performance.now() };
    const durationMs = (lease.spec?.leaseDurationSeconds ?? 0) * 1000;
    return performance.now() - (this.#seen?.since ?? 0) >= durationMs;
  }

  async #release(): Promise<void> {
    const { client, namespace, name, identity } = this.#options;
    const limit = AbortSignal.timeout(3_000);
    try {
      const lease = await client.get(leases, namespace, name, limit);
      if (lease?.spec?.holderIdentity !== identity) return;
      await this.#update(
        { ...lease, spec: { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 } },
        limit,
      );
    } catch (error) {
      this.#options.log.debug({ err: error }, 'the Lease could not be given back');
    }
  }

  async #update(lease: Lease, signal: AbortSignal): Promise<void> {
    const { client, namespace, name } = this.#options;
    // PUT with the version read: of two who write at the same time, one gets 409.
    await client.request('PUT', pathOf(leases, namespace, name), { body: lease, signal });
  }

  #object(): KubeObject {
    const { namespace, name } = this.#options;
    return { apiVersion: leases.apiVersion, kind: leases.kind, metadata: { name, namespace } };
  }

  #spec(now: string): NonNullable<Lease['spec']> {
    return {
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: Math.max(1, Math.ceil(this.#leaseMs / 1000)),
      renewTime: now,
    };
  }
}
