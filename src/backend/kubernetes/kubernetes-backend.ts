/**
 * Terminals as Terminal resources of a cluster: this declares them, the operator makes them so, and the caches say what
 * they are. Any number of orchestrators can do so side by side.
 * @module
 */
import type { Logger } from 'pino';
import { StartFailedError } from '../../errors.ts';
import type { KubeClient } from '../../kubernetes/client.ts';
import { KubeError } from '../../kubernetes/kube-error.ts';
import { type LeaderOptions, replicaIdentity } from '../../kubernetes/leader.ts';
import { stopAnnotation, terminals } from '../../operator/terminal-resource.ts';
import { terminalName } from '../../terminal/names.ts';
import type { Actual, Desired, RunningTerminal, TerminalKey } from '../../terminal/terminal.ts';
import type { Backend, BackendListener, Progress } from '../backend.ts';
import { ClusterActivity } from './cluster-activity.ts';
import { ClusterPeers } from './cluster-peers.ts';
import { ClusterRevisions } from './cluster-revisions.ts';
import {
  type Declarer,
  declare,
  declareInPlace,
  isDeclared,
  type PodSettings,
  platformOf,
} from './declare.ts';
import { othersUnlisted, requestFailure } from './failures.ts';
import { type AddressKind, keyOf, lastActivityOf, observe, type Parts } from './observe.ts';
import { TerminalCache } from './terminal-cache.ts';
import { TerminalResets } from './terminal-resets.ts';
import { TerminalStarts } from './terminal-starts.ts';
import { TerminalWriter } from './terminal-writer.ts';

/**
 * How several orchestrators act as one: `name` is that of their Lease, of the ConfigMap of what they know, and on their
 * Terminals.
 */
export interface ReplicasOptions
  extends Pick<LeaderOptions, 'name'>,
    Partial<Pick<LeaderOptions, 'identity' | 'leaseMs' | 'renewWithinMs' | 'retryMs'>> {}

export interface KubernetesBackendOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly address: AddressKind;
  readonly pods: PodSettings;
  readonly replicas: ReplicasOptions;
  readonly log: Logger;
  /** How long the first list may take before whoever waits is told that the cluster does not answer. */
  readonly syncMs?: number;
}

export class KubernetesBackend implements Backend {
  readonly kind = 'kubernetes-operator';
  readonly shared = true;
  /** Waiting for the operator costs nothing. */
  readonly concurrency = 256;
  readonly unenforced: readonly string[] = ['resources.limits.pids', 'mounts', 'warm'];
  readonly platform: Readonly<Record<string, string>>;
  readonly activity: ClusterActivity;
  readonly revisions: ClusterRevisions;
  readonly peers: ClusterPeers;
  readonly #options: KubernetesBackendOptions;
  readonly #client: KubeClient;
  readonly #declarer: Declarer;
  readonly #cache: TerminalCache;
  readonly #writer: TerminalWriter;
  readonly #starts: TerminalStarts;
  readonly #resets: TerminalResets;

  constructor(options: KubernetesBackendOptions) {
    const { client, namespace, log, syncMs = 10_000 } = options;
    this.#options = options;
    this.#client = client;
    const orchestrator = options.replicas.name;
    this.#declarer = { namespace, orchestrator };
    this.#cache = new TerminalCache({ client, namespace, orchestrator, log, syncMs });
    this.activity = new ClusterActivity({ client, cache: this.#cache, log });
    const of = { client, namespace, log };
    this.revisions = new ClusterRevisions({ ...of, name: options.replicas.name, syncMs });
    this.peers = new ClusterPeers({
      ...of,
      identity: replicaIdentity(),
      ...options.replicas,
      revisions: this.revisions,
    });
    this.platform = platformOf(options.pods);
    const cache = this.#cache;
    this.#writer = new TerminalWriter({ client, namespace, cache });
    const writer = this.#writer;
    this.#starts = new TerminalStarts({ ...options, orchestrator, cache, activity: this.activity, writer });
    this.#resets = new TerminalResets({ client, namespace, cache, writer });
  }

  // --- observing ----------------------------------------------------------

  async list(signal: AbortSignal): Promise<readonly Actual[]> {
    await this.#cache.ready(signal);
    return this.#observeAll();
  }

  unlisted(): string | null {
    const { others } = this.#cache;
    return others.length === 0 ? null : othersUnlisted(others);
  }

  async inspect(key: TerminalKey, signal: AbortSignal): Promise<Actual | undefined> {
    await this.#cache.ready(signal);
    return this.#observe(terminalName(key));
  }

  watch(listener: BackendListener, signal: AbortSignal): void {
    this.#cache.start();
    const wasThere = this.#cache.hasSynced;
    const stop = this.#cache.onChange((name, gone) => {
      // Until then a list would be incomplete, and what comes is told at once.
      if (!this.#cache.hasSynced) return;
      const terminal = gone ?? this.#cache.get(name)?.terminal;
      const actual = this.#observe(name);
      if (actual) listener.changed(actual.key, actual);
      else if (gone && terminal && terminalName(keyOf(terminal)) === name)
        listener.changed(keyOf(terminal), undefined);
    });
    signal.addEventListener('abort', stop, { once: true });
    if (!wasThere) {
      const told = this.#cache.synced.then(() => {
        if (!signal.aborted) listener.relisted(this.#observeAll());
      });
      told.catch((error: unknown) =>
        this.#options.log.error({ err: error }, 'the terminals that were listed could not be taken up'),
      );
    }
  }

  #observeAll(): readonly Actual[] {
    return [...this.#cache.all()].flatMap((parts) => this.#actualOf(parts) ?? []);
  }

  #observe(name: string): Actual | undefined {
    const parts = this.#cache.get(name);
    return parts && this.#actualOf(parts);
  }

  /** One that no sense can be made of is left out: the others are to be served on. */
  #actualOf(parts: Parts): Actual | undefined {
    try {
      return observe(parts, this.#options.address) ?? undefined;
    } catch (error) {
      const { name } = parts.terminal.metadata;
      this.#options.log.warn({ err: error, terminal: name }, 'a Terminal can not be read, and is left out');
      return undefined;
    }
  }

  // --- acting -------------------------------------------------------------

  /** The nodes pull images. */
  async prepare(): Promise<void> {}

  create(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal> {
    return this.#starts.bringUp(desired, progress, signal);
  }

  start(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal> {
    return this.#starts.bringBack(desired, progress, signal);
  }

  /** Another workload in the resource: the operator gives it another Pod, on the same home and with the same key. */
  replace(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal> {
    return this.#starts.bringUp(desired, progress, signal);
  }

  async update(desired: Desired, signal: AbortSignal): Promise<Actual> {
    await this.#cache.ready(signal);
    const existing = this.#cache.get(desired.name)?.terminal;
    if (existing !== undefined) {
      const declared = declare(desired, this.#options.pods, this.#declarer, existing);
      const inPlace = declareInPlace(existing, declared, desired.suspended);
      if (!isDeclared(existing, inPlace)) await this.#writer.apply(inPlace, signal);
    }
    const actual = this.#observe(desired.name);
    if (actual) return actual;
    throw new StartFailedError(`The terminal ${desired.name} is gone.`, 'The next request makes it anew.');
  }

  async stop(key: TerminalKey, signal: AbortSignal): Promise<void> {
    await this.#cache.ready(signal);
    const name = terminalName(key);
    const existing = this.#cache.get(name)?.terminal;
    if (existing === undefined || this.#observe(name)?.phase === 'Idle') return;
    const at = new Date(Math.max(Date.now(), lastActivityOf(existing))).toISOString();
    const { uid } = existing.metadata;
    try {
      await this.#writer.annotate(name, { uid, annotations: { [stopAnnotation]: at } }, signal);
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return;
      throw requestFailure(error);
    }
    await this.#writer.settled(name, 'stopped', signal, () => {
      const actual = this.#observe(name);
      return actual === undefined || actual.phase === 'Idle';
    });
  }

  /** Without its files: it is stopped, so that the next start gives it another Pod. */
  async remove(key: TerminalKey, { files }: { readonly files: boolean }, signal: AbortSignal): Promise<void> {
    if (!files) return this.stop(key, signal);
    await this.#cache.ready(signal);
    const name = terminalName(key);
    this.#cache.throwIfOthers(name);
    const uid = this.#cache.get(name)?.terminal.metadata.uid;
    try {
      await this.#client.delete(terminals, this.#options.namespace, name, uid, signal);
    } catch (error) {
      throw requestFailure(error);
    }
    await this.#writer.settled(name, 'deleted', signal, () => {
      const now = this.#cache.get(name)?.terminal.metadata.uid;
      return now === undefined || now !== uid;
    });
  }

  /** The operator empties it. One that is being emptied already, by whomever, is only waited for. */
  async reset({ name }: Desired, keep: readonly string[], signal: AbortSignal): Promise<void> {
    await this.#cache.ready(signal);
    return this.#resets.reset(name, keep, signal);
  }

  async close(): Promise<void> {
    await this.peers.close();
    await this.revisions.close();
    await this.#cache.close();
    await this.#client.close();
  }
}
