/**
 * How the policies' revisions fare, in a ConfigMap that all orchestrators watch: one key a policy. Whoever writes does so to
 * what he has seen, or sees first what another wrote; so nothing that one of them found out is lost.
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { KubeClient } from '../../kubernetes/client.ts';
import { Informer } from '../../kubernetes/informer.ts';
import { KubeError } from '../../kubernetes/kube-error.ts';
import { type ConfigMap, configMaps, pathOf } from '../../kubernetes/objects.ts';
import { requestAnnotation, requestOf } from '../../kubernetes/reconcile-request.ts';
import { backoffMs } from '../../reconcile/backoff.ts';
import { parseRevisions, revisionsText } from '../../reconcile/revisions-text.ts';
import { type Revisions, unknownRevisions } from '../../terminal/revisions.ts';
import type { PolicyId } from '../../terminal/terminal.ts';
import type { RevisionRecord } from '../backend.ts';
import { manager } from './declare.ts';

export interface ClusterRevisionsOptions {
  readonly client: Pick<KubeClient, 'get' | 'apply' | 'request' | 'watch'>;
  readonly namespace: string;
  /** Of the ConfigMap. */
  readonly name: string;
  readonly log: Logger;
  /** How long `load` waits for the cluster. */
  readonly syncMs: number;
}

type Change = (known: Revisions) => Revisions;

interface Pending {
  readonly policy: PolicyId;
  readonly change: Change;
}

/** A cluster that is away is asked again after this at the latest. */
const longestPauseMs = 15_000;

export class ClusterRevisions implements RevisionRecord {
  readonly #options: ClusterRevisionsOptions;
  readonly #informer: Informer<ConfigMap>;
  readonly #stopping = new AbortController();
  /** Made here, and not in the cluster yet. */
  #pending: readonly Pending[] = [];
  #told: (policy: PolicyId) => void = () => undefined;
  /** The last request of this process. */
  #requested = '';
  #running: Promise<unknown> | null = null;
  #writing: Promise<void> | null = null;

  constructor(options: ClusterRevisionsOptions) {
    const { client, namespace, name, log } = options;
    this.#options = options;
    const fieldSelector = `metadata.name=${name}`;
    this.#informer = new Informer({ client, namespace, fieldSelector, log, resource: configMaps });
  }

  /** Resolves once it was read for the first time; begins to. */
  get synced(): Promise<void> {
    this.#running ??= this.#informer.run(this.#stopping.signal);
    return this.#informer.synced;
  }

  /** A cluster that does not answer in time is not waited for: what it holds is told when it does. */
  async load(): Promise<ReadonlyMap<PolicyId, Revisions>> {
    const waited = new AbortController();
    const late = delay(this.#options.syncMs, undefined, { signal: waited.signal, ref: false });
    await Promise.race([this.synced, late.catch(() => undefined)]);
    waited.abort();
    const policies = Object.keys(this.#current?.data ?? {}) as PolicyId[];
    return new Map(policies.map((policy) => [policy, this.#known(policy)]));
  }

  change(policy: PolicyId, change: Change): void {
    this.#pending = [...this.#pending, { policy, change }];
    this.#writing ??= this.#write().finally(() => {
      this.#writing = null;
    });
  }

  follow(changed: (policy: PolicyId, known: Revisions) => void, signal: AbortSignal): void {
    this.#told = (policy) => {
      // What is being written may be in what was read: it is told when that is known.
      if (!signal.aborted && !this.#pending.some((one) => one.policy === policy))
        changed(policy, this.#known(policy));
    };
    this.#informer.onChange((now, before) => {
      const [was, is] = [before?.data ?? {}, now?.data ?? {}];
      for (const policy of new Set([...Object.keys(was), ...Object.keys(is)]) as Set<PolicyId>)
        if (was[policy] !== is[policy]) this.#told(policy);
    });
  }

  /**
   * Asks all who watch it for a look, but not this process.
   * @throws KubeError, and what undici throws
   */
  async request(): Promise<void> {
    const { client, namespace, name } = this.#options;
    const { signal } = this.#stopping;
    this.#requested = `${new Date().toISOString()} ${crypto.randomUUID()}`;
    await this.#create(signal);
    await client.request('PATCH', pathOf(configMaps, namespace, name), {
      query: { fieldManager: manager },
      body: { metadata: { annotations: { [requestAnnotation]: this.#requested } } },
      contentType: 'application/merge-patch+json',
      signal,
    });
  }

  /** Calls back when another has asked for a look. */
  onRequest(listener: () => void): void {
    this.#informer.onChange((now, before) => {
      const request = requestOf(now);
      if (now === undefined || before === undefined || request === requestOf(before)) return;
      if (request !== this.#requested) listener();
    });
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#writing;
    await this.#running;
  }

  get #current(): ConfigMap | undefined {
    const { namespace, name } = this.#options;
    return this.#informer.get(`${namespace}/${name}`);
  }

  /** As the cluster has it, with what is not written yet. */
  #known(policy: PolicyId): Revisions {
    return changed(this.#current, policy, this.#pending);
  }

  /** Never rejects. */
  async #write(): Promise<void> {
    const { signal } = this.#stopping;
    for (let failures = 0; this.#pending.length > 0 && !signal.aborted; ) {
      const made = this.#pending;
      try {
        const written = await this.#writeAll(made, signal);
        this.#pending = this.#pending.slice(made.length);
        if (written !== null) this.#informer.absorb(written);
        for (const policy of policiesOf(made)) this.#told(policy);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        const fields = { err: error, policies: policiesOf(made), configMap: this.#options.name };
        this.#options.log.warn(fields, 'how revisions fare could not be written; it is tried again');
        const pauseMs = Math.min(backoffMs(failures), longestPauseMs);
        await delay(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  /** @returns the ConfigMap as it is then; null: there was nothing to write */
  async #writeAll(made: readonly Pending[], signal: AbortSignal): Promise<ConfigMap | null> {
    const { client, namespace, name } = this.#options;
    for (let seen = this.#current; ; ) {
      seen ??= await this.#create(signal);
      const data = changes(seen, made);
      if (Object.keys(data).length === 0) return null;
      const { uid, resourceVersion } = seen.metadata;
      const options = {
        query: { fieldManager: manager },
        body: { metadata: { uid, resourceVersion }, data },
        contentType: 'application/merge-patch+json',
        signal,
      };
      try {
        const path = pathOf(configMaps, namespace, name);
        return await client.request<ConfigMap>('PATCH', path, options);
      } catch (error) {
        // Another wrote since, or somebody deleted it.
        if (!(error instanceof KubeError && (error.status === 409 || error.status === 404))) throw error;
        seen = await client.get(configMaps, namespace, name, signal);
      }
    }
  }

  /** By an apply, which takes nothing away where another has made it just now, and which a Role can limit to this name. */
  #create(signal: AbortSignal): Promise<ConfigMap> {
    const { client, namespace, name } = this.#options;
    const labels = {
      'app.kubernetes.io/part-of': 'open-terminal',
      'app.kubernetes.io/managed-by': 'terminals',
    };
    const { apiVersion, kind } = configMaps;
    const object = { apiVersion, kind, metadata: { name, namespace, labels } };
    return client.apply(configMaps, object, { manager, force: true, signal });
  }
}

function changed(map: ConfigMap | undefined, policy: PolicyId, made: readonly Pending[]): Revisions {
  const text = map?.data?.[policy];
  const known = text === undefined ? unknownRevisions : parseRevisions(text);
  return made.filter((one) => one.policy === policy).reduce((before, { change }) => change(before), known);
}

/** The keys that differ, with what they are to be. */
function changes(map: ConfigMap, made: readonly Pending[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    policiesOf(made)
      .map((policy) => [policy, revisionsText(changed(map, policy, made))] as const)
      .filter(([policy, text]) => map.data?.[policy] !== text),
  );
}

function policiesOf(made: readonly Pending[]): readonly PolicyId[] {
  return [...new Set(made.map(({ policy }) => policy))];
}
