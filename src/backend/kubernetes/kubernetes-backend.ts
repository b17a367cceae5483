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
import { pathOf } from '../../kubernetes/objects.ts';
import { wanted } from '../../operator/idle.ts';
import {
  keepAnnotation,
  type ResetRequest,
  resetAnnotation,
  resetRequest,
} from '../../operator/reset-request.ts';
import {
  resetFailed,
  stopAnnotation,
  type TerminalResource,
  terminals,
} from '../../operator/terminal-resource.ts';
import { terminalName } from '../../terminal/names.ts';
import type { Actual, Desired, RunningTerminal, TerminalKey } from '../../terminal/terminal.ts';
import type { Backend, BackendListener, Progress } from '../backend.ts';
import { ClusterActivity } from './cluster-activity.ts';
import { ClusterPeers } from './cluster-peers.ts';
import { ClusterRevisions } from './cluster-revisions.ts';
import { type Declared, declare, declareInPlace, isDeclared, manager, type PodSettings } from './declare.ts';
import { notSettled, requestFailure, startFailure, startTimeout } from './failures.ts';
import { type AddressKind, keyOf, lastActivityOf, observe, reasonOf } from './observe.ts';
import { TerminalCache } from './terminal-cache.ts';
import { until } from './until.ts';

/** How several orchestrators act as one: `name` is that of their Lease, and of the ConfigMap of what they know. */
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

/** Beyond the policy's start time limit: for a node to be found and an image to be pulled. */
const beforeStartMs = 25_000;
/** The operator stops a terminal, and the API server forgets one, well within this. */
const settleMs = 20_000;
/** A home may hold millions of files. */
const resetMs = 660_000;
/** A use that was written so lately need not be written again to keep a terminal running. */
const freshMs = 5_000;
const attempts = 3;
/** The operator may be at work on its status, each step of which is a change. */
const resetAttempts = 20;

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
  readonly #cache: TerminalCache;

  constructor(options: KubernetesBackendOptions) {
    const { client, namespace, log, syncMs = 10_000 } = options;
    this.#options = options;
    this.#client = client;
    this.#cache = new TerminalCache({ client, namespace, log, syncMs });
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
  }

  // --- observing ----------------------------------------------------------

  async list(signal: AbortSignal): Promise<readonly Actual[]> {
    await this.#cache.ready(signal);
    return [...this.#cache.all()].flatMap((parts) => observe(parts, this.#options.address) ?? []);
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
      void this.#cache.synced.then(() => {
        if (signal.aborted) return;
        listener.relisted(
          [...this.#cache.all()].flatMap((parts) => observe(parts, this.#options.address) ?? []),
        );
      });
    }
  }

  #observe(name: string): Actual | undefined {
    const parts = this.#cache.get(name);
    return (parts && observe(parts, this.#options.address)) ?? undefined;
  }

  // --- acting -------------------------------------------------------------

  /** The nodes pull images. */
  async prepare(): Promise<void> {}

  create(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal> {
    return this.#bringUp(desired, progress, signal);
  }

  start(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal> {
    return this.#bringUp(desired, progress, signal);
  }

  /** Another workload in the resource: the operator gives it another Pod, on the same home and with the same key. */
  replace(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal> {
    return this.#bringUp(desired, progress, signal);
  }

  async update(desired: Desired, signal: AbortSignal): Promise<Actual> {
    await this.#cache.ready(signal);
    const existing = this.#cache.get(desired.name)?.terminal;
    if (existing !== undefined) {
      const inPlace = declareInPlace(existing, this.#declare(desired, existing), desired.suspended);
      if (!isDeclared(existing, inPlace)) await this.#apply(inPlace, signal);
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
      await this.#annotate(name, { uid, annotations: { [stopAnnotation]: at } }, signal);
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return;
      throw requestFailure(error);
    }
    await this.#settled(name, 'stopped', signal, () => {
      const actual = this.#observe(name);
      return actual === undefined || actual.phase === 'Idle';
    });
  }

  /** Without its files: it is stopped, so that the next start gives it another Pod. */
  async remove(key: TerminalKey, { files }: { readonly files: boolean }, signal: AbortSignal): Promise<void> {
    if (!files) return this.stop(key, signal);
    await this.#cache.ready(signal);
    const name = terminalName(key);
    const uid = this.#cache.get(name)?.terminal.metadata.uid;
    try {
      await this.#client.delete(terminals, this.#options.namespace, name, uid, signal);
    } catch (error) {
      throw requestFailure(error);
    }
    await this.#settled(name, 'deleted', signal, () => {
      const now = this.#cache.get(name)?.terminal.metadata.uid;
      return now === undefined || now !== uid;
    });
  }

  /** The operator empties it. One that is being emptied already, by whomever, is only waited for. */
  async reset({ name }: Desired, keep: readonly string[], signal: AbortSignal): Promise<void> {
    await this.#cache.ready(signal);
    const request = await this.#requestReset(name, keep, signal);
    if (request === null) return;
    await this.#settled(
      name,
      'reset',
      signal,
      () => {
        const terminal = this.#cache.get(name)?.terminal;
        const pending = terminal && resetRequest(terminal);
        if (!pending) return true;
        if (reasonOf(terminal) === resetFailed)
          throw startFailure(name, resetFailed, terminal.status?.message ?? '');
        return false;
      },
      resetMs,
    );
  }

  async close(): Promise<void> {
    await this.peers.close();
    await this.revisions.close();
    await this.#cache.close();
    await this.#client.close();
  }

  // --- one terminal -------------------------------------------------------

  #declare(desired: Desired, existing: TerminalResource | undefined): Declared {
    return declare(desired, this.#options.pods, this.#options.namespace, existing);
  }

  /** Asks for it once, whoever asks; null: another has had it emptied since, or there is no such terminal and so no home. */
  async #requestReset(
    name: string,
    keep: readonly string[],
    signal: AbortSignal,
  ): Promise<ResetRequest | null> {
    const last = this.#cache.get(name)?.terminal.status?.lastResetAt;
    for (let attempt = 1; ; attempt += 1) {
      const existing = this.#cache.get(name)?.terminal;
      const pending = existing ? resetRequest(existing) : null;
      if (existing === undefined || pending !== null || existing.status?.lastResetAt !== last) return pending;
      const { metadata, status } = existing;
      const before = [metadata.creationTimestamp, status?.lastResetAt].map(
        (time) => Date.parse(time ?? '') || 0,
      );
      const at = new Date(Math.max(Date.now(), ...before.map((time) => time + 1))).toISOString();
      const annotations = {
        [resetAnnotation]: at,
        [keepAnnotation]: keep.length > 0 ? JSON.stringify(keep) : null,
      };
      const { uid, resourceVersion } = metadata;
      try {
        // With its version, nobody has asked for it, or carried it out, since it was looked at.
        const asked = await this.#annotate(name, { uid, resourceVersion, annotations }, signal);
        return resetRequest(asked);
      } catch (error) {
        const gone = error instanceof KubeError && error.status === 404;
        if (gone) return null;
        const changed = error instanceof KubeError && error.status === 409;
        if (!changed || attempt === resetAttempts) throw requestFailure(error);
        const now = await this.#client.get(terminals, this.#options.namespace, name, signal);
        if (now !== undefined) this.#cache.terminals.absorb(now);
      }
    }
  }

  async #annotate(name: string, metadata: object, signal: AbortSignal): Promise<TerminalResource> {
    const patched = await this.#client.request<TerminalResource>(
      'PATCH',
      pathOf(terminals, this.#options.namespace, name),
      {
        query: { fieldManager: manager },
        body: { metadata },
        contentType: 'application/merge-patch+json',
        signal,
      },
    );
    this.#cache.terminals.absorb(patched);
    return patched;
  }

  /** Declares it, says that it is used, and waits until its Pod answers. */
  async #bringUp(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal> {
    await this.#cache.ready(signal);
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#declareAndWake(desired, signal);
        return await this.#started(desired, progress, signal);
      } catch (error) {
        signal.throwIfAborted();
        // Deleted by somebody in the meantime, or changed at the same moment.
        const again = error instanceof KubeError && (error.status === 404 || error.status === 409);
        if (!again || attempt === attempts) throw requestFailure(error);
      }
    }
  }

  async #declareAndWake(desired: Desired, signal: AbortSignal): Promise<void> {
    const existing = this.#cache.get(desired.name)?.terminal;
    const declared = this.#declare(desired, existing);
    const same = existing !== undefined && isDeclared(existing, declared);
    const terminal = same ? existing : await this.#apply(declared, signal);
    const now = Date.now();
    const { running, lookAgainAt } = wanted(terminal, now);
    const endsMeanwhile = lookAgainAt !== null && lookAgainAt < now + desired.startTimeoutMs + beforeStartMs;
    if (running && (!endsMeanwhile || now - lastActivityOf(terminal) < freshMs)) return;
    await this.activity.wake(terminal, signal);
  }

  async #apply(declared: Declared, signal: AbortSignal): Promise<TerminalResource> {
    const terminal = await this.#client.apply(terminals, declared, { manager, force: true, signal });
    this.#cache.terminals.absorb(terminal);
    return terminal;
  }

  #started(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal> {
    const { name, startTimeoutMs } = desired;
    const ms = startTimeoutMs + beforeStartMs;
    let detail = 'it starts';
    const look = (): RunningTerminal | undefined => {
      const parts = this.#cache.get(name);
      const actual = parts && observe(parts, this.#options.address);
      if (!parts || !actual)
        throw new StartFailedError('The terminal was deleted while it started.', 'Try again.');
      if (actual.phase === 'Running') return actual;
      if (actual.phase === 'Error') throw startFailure(name, reasonOf(parts.terminal), actual.detail);
      const now = actual.phase === 'Provisioning' ? actual.detail : 'it is being started again';
      if (now !== detail) progress(now);
      detail = now;
      return undefined;
    };
    const late = () => startTimeout(name, ms, detail);
    const rest = this.activity.keepAwake(name, desired.idleTimeoutMs, signal);
    return until({ cache: this.#cache, name, ms, signal, late }, look).finally(rest);
  }

  async #settled(
    name: string,
    what: string,
    signal: AbortSignal,
    done: () => boolean,
    ms = settleMs,
  ): Promise<void> {
    const late = () => notSettled(name, what);
    const options = { cache: this.#cache, name, ms, signal, late };
    await until(options, () => (done() ? true : undefined));
  }
}

/** What of the configuration belongs into a workload's revision, each under the name of its variable. */
function platformOf(settings: PodSettings): Readonly<Record<string, string>> {
  const entries: readonly (readonly [string, object])[] = [
    ['LABELS', settings.labels],
    ['NODE_SELECTOR', settings.nodeSelector],
    ['TOLERATIONS', settings.tolerations],
    ['POD_SECURITY_CONTEXT', settings.podSecurityContext],
    ['CONTAINER_SECURITY_CONTEXT', settings.containerSecurityContext],
  ];
  const platform: Record<string, string> = settings.restricted
    ? { TERMINALS_KUBERNETES_RESTRICTED: 'true' }
    : {};
  for (const [name, value] of entries) {
    if (Object.keys(value).length > 0) platform[`TERMINALS_KUBERNETES_${name}`] = JSON.stringify(value);
  }
  return platform;
}
