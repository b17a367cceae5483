/**
 * `terminals operator`: keeps the Pods, Services, Secrets, volumes and NetworkPolicies of all Terminals.
 * @module
 */
import type { KubeConfig } from '@kubernetes/client-node';
import type { Logger } from 'pino';
import { KubeClient } from '../kubernetes/client.ts';
import { EventRecorder } from '../kubernetes/event-recorder.ts';
import { KubeError } from '../kubernetes/kube-error.ts';
import { type LeaderOptions, replicaIdentity, runAsLeader } from '../kubernetes/leader.ts';
import { backoffMs } from '../reconcile/backoff.ts';
import { Deadlines } from '../reconcile/deadlines.ts';
import { WorkQueue } from '../reconcile/queue.ts';
import { Caches } from './caches.ts';
import { type OperatorDefaults, operatorDefaults } from './defaults.ts';
import { TerminalReconciler } from './terminal-reconciler.ts';
import { fieldManager, type TerminalResource } from './terminal-resource.ts';

export interface LeaderElection
  extends Partial<Pick<LeaderOptions, 'name' | 'identity' | 'leaseMs' | 'renewWithinMs' | 'retryMs'>> {
  /** Of the Lease. */
  readonly namespace: string;
}

export interface OperatorOptions {
  readonly kubeConfig: KubeConfig;
  /** Whose Terminals; undefined: those of all namespaces. */
  readonly namespace: string | undefined;
  readonly log: Logger;
  /** null: this is the only one, it leads at once. */
  readonly leaderElection: LeaderElection | null;
  readonly defaults?: Partial<OperatorDefaults>;
  /** Make a NetworkPolicy for every terminal; needs the right to. */
  readonly networkPolicies?: boolean;
  /** How many Terminals are worked on at once. */
  readonly workers?: number;
  /** Stops it. */
  readonly signal?: AbortSignal;
}

/** A running operator. */
export interface Operator {
  /** Everything was listed once. */
  readonly synced: Promise<void>;
  /** For health and metrics. */
  readonly state: OperatorState;
  /** Ends when what is under way has ended; the Lease is given back. Terminals go on running. */
  stop(): Promise<void>;
}

export interface OperatorState {
  readonly synced: boolean;
  readonly leading: boolean;
  readonly terminals: number;
  /** How many Terminals wait to be looked at. */
  readonly queued: number;
}

/** What can be reached again soon is not waited for as long as what somebody has to mend. */
const longestConnectionPauseMs = 15_000;

/** Begins at once; what goes wrong from here on is logged and tried again. */
export function startOperator(options: OperatorOptions): Operator {
  const client = new KubeClient(options.kubeConfig);
  const stopping = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stopping.signal]) : stopping.signal;
  const identity = options.leaderElection?.identity ?? replicaIdentity();
  const run = new OperatorRun(client, options, identity);
  const ended = run.run(signal).finally(() => client.close());
  return {
    synced: run.caches.synced.then(() => undefined),
    get state() {
      return run.state;
    },
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}

class OperatorRun {
  readonly caches: Caches;
  readonly #client: KubeClient;
  readonly #options: OperatorOptions;
  readonly #identity: string;
  readonly #reconciler: TerminalReconciler;
  /** Failed tries in a row, and when the next is due. */
  readonly #failures = new Map<string, { readonly count: number; readonly at: number }>();
  #queue: WorkQueue<string> | null = null;
  #deadlines: Deadlines<string> | null = null;

  constructor(client: KubeClient, options: OperatorOptions, identity: string) {
    const { namespace, log, networkPolicies = true } = options;
    this.#client = client;
    this.#options = options;
    this.#identity = identity;
    const defaults = { ...operatorDefaults, ...options.defaults };
    const events = new EventRecorder({ client, component: fieldManager, instance: identity, log });
    this.caches = new Caches({ client, namespace, networkPolicies, log });
    this.#reconciler = new TerminalReconciler({ client, caches: this.caches, defaults, events, log });
    this.caches.onChange((key, own) => {
      // A status that says why it failed must not set off the next try before its pause is over.
      if (!own || !this.#failures.has(key)) this.#queue?.add(key, true);
    });
    this.caches.terminals.onChange((now, before) => {
      if (before !== undefined && before.metadata.uid !== now?.metadata.uid) this.#forget(before);
    });
  }

  get state(): OperatorState {
    return {
      synced: this.caches.hasSynced,
      leading: this.#queue !== null,
      terminals: this.caches.terminals.size,
      queued: this.#queue?.depth ?? 0,
    };
  }

  /** A replica that doesn't lead keeps its caches true all the same, so that it can take over within a second. */
  async run(signal: AbortSignal): Promise<void> {
    const { leaderElection, log } = this.#options;
    const watching = this.caches.run(signal);
    if (leaderElection === null) await this.#lead(signal);
    else {
      const lease = { name: 'terminals-operator', ...leaderElection, identity: this.#identity };
      await runAsLeader({ ...lease, client: this.#client, log }, (leading) => this.#lead(leading), signal);
    }
    await watching;
  }

  async #lead(leading: AbortSignal): Promise<void> {
    const over = new Promise<void>((resolve) =>
      leading.addEventListener('abort', () => resolve(), { once: true }),
    );
    await Promise.race([this.caches.synced, over]);
    if (leading.aborted) return;
    const { workers = 16, log } = this.#options;
    const queue = new WorkQueue<string>((key) => this.#work(key, leading), {
      concurrency: workers,
      background: workers,
    });
    this.#deadlines = new Deadlines<string>((key) => queue.add(key, false));
    this.#queue = queue;
    log.info({ terminals: this.caches.terminals.size }, 'operator synced');
    for (const key of this.caches.terminals.keys()) queue.add(key, false);
    await over;
    this.#deadlines.close();
    await queue.close();
    this.#queue = null;
  }

  /** Never rejects, as the queue asks for. */
  async #work(key: string, leading: AbortSignal): Promise<void> {
    try {
      const { lookAgainAt, failed } = await this.#reconciler.reconcile(key, leading);
      if (failed) return this.#retry(key, null, lookAgainAt);
      this.#failures.delete(key);
      this.#deadlines?.set(key, lookAgainAt);
    } catch (error) {
      if (leading.aborted) return;
      const expected = error instanceof KubeError && error.status === 409;
      this.#options.log[expected ? 'debug' : 'warn'](
        { terminal: key, err: error },
        'reconcile failed; it is tried again',
      );
      this.#retry(key, error, null);
    }
  }

  #retry(key: string, error: unknown, lookAgainAt: number | null): void {
    const now = Date.now();
    let failure = this.#failures.get(key);
    // A look that an event brought before the pause was over fails as the last one did: it makes no pause longer.
    if (failure === undefined || failure.at <= now) {
      const count = (failure?.count ?? 0) + 1;
      const pauseMs =
        error === null ? backoffMs(count) : Math.min(backoffMs(count), longestConnectionPauseMs);
      const asked = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
      failure = { count, at: now + Math.max(asked, pauseMs) };
      this.#failures.set(key, failure);
    }
    this.#deadlines?.set(key, Math.min(failure.at, lookAgainAt ?? Number.POSITIVE_INFINITY));
  }

  #forget(terminal: TerminalResource): void {
    const key = `${terminal.metadata.namespace ?? ''}/${terminal.metadata.name}`;
    this.#failures.delete(key);
    this.#deadlines?.set(key, null);
    this.#reconciler.forget(terminal, key);
  }
}
