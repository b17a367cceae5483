/**
 * The objects of one kind in memory, kept true by list + watch.
 *
 * Not the informer of @kubernetes/client-node (2.0): it stops at any error until somebody starts it again, swallows what
 * listeners throw, asks for no bookmarks (so that a quiet kind resumes from a version that is long compacted), lists
 * without pages and keeps `managedFields`, which are half of the memory of 5,000 objects.
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { KubeClient } from './client.ts';
import { KubeError, kubeErrorOf } from './kube-error.ts';
import { type KubeObject, pathOf, type Resource } from './objects.ts';

export interface InformerOptions<T extends KubeObject> {
  readonly client: Pick<KubeClient, 'request' | 'watch'>;
  readonly resource: Resource<T>;
  /** undefined: all namespaces. */
  readonly namespace: string | undefined;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Leaves out what nobody reads. */
  readonly slim?: (object: T) => T;
  readonly log: Logger;
  /** For tests: pages of this size. */
  readonly pageSize?: number;
}

/** What an object is now and was before; undefined: it is, or was, not there. */
export type Listener<T> = (now: T | undefined, before: T | undefined) => void;

interface List<T> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly T[];
}

interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T;
}

/** Small enough that a page of Pods is forgotten before it grows old: with 500, 5,000 terminals took 70 MiB more. */
const listPage = 100;
/** The server sends a bookmark about every minute; a connection silent for longer than this is dead. */
const silenceMs = 120_000;
/** The server ends a watch after 5 to 10 minutes, so that many do not come back at once. */
const watchSeconds = () => 300 + Math.floor(Math.random() * 300);
const longestPauseMs = 5_000;
/** The whole object once more, as kubectl leaves it. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

/** `namespace/name`, as everywhere in the operator. */
export function keyOf({ metadata }: Pick<KubeObject, 'metadata'>): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

export class Informer<T extends KubeObject> {
  readonly #options: InformerOptions<T>;
  readonly #objects = new Map<string, T>();
  readonly #listeners = new Set<Listener<T>>();
  readonly #synced = Promise.withResolvers<void>();
  readonly #log: Logger;
  /** Where the watch is; null: everything has to be listed. */
  #version: string | null = null;
  #hasSynced = false;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
    this.#log = options.log.child({ informer: options.resource.plural });
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  keys(): IterableIterator<string> {
    return this.#objects.keys();
  }

  get size(): number {
    return this.#objects.size;
  }

  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** Resolves once everything was listed for the first time. */
  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  onChange(listener: Listener<T>): void {
    this.#listeners.add(listener);
  }

  /**
   * Takes in the answer to a write of ours, so that what comes next does not decide on what was before it. The watch
   * brings the same later; what it has passed already is not taken, since the object may be gone since.
   */
  absorb(object: T): void {
    if (this.#version === null || !newer(object.metadata.resourceVersion, this.#version)) return;
    this.#put(object);
  }

  /** Lists and watches until the signal aborts; whatever fails is tried again. */
  async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      const startedAt = Date.now();
      try {
        if (this.#version === null) await this.#list(signal);
        await this.#watch(signal);
        if (Date.now() - startedAt < 1_000) throw new Error('the watch ended at once');
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        if (Date.now() - startedAt > 10_000) failures = 0;
        await this.#failed(error, failures, signal);
        failures += 1;
      }
    }
  }

  async #failed(error: unknown, failures: number, signal: AbortSignal): Promise<void> {
    const expired = error instanceof KubeError && (error.status === 410 || error.reason === 'Expired');
    if (expired) this.#version = null;
    // The first new try comes at once: a watch that expired or was cut says nothing about the next one.
    const ceiling = failures === 0 ? 0 : Math.min(100 * 2 ** failures, longestPauseMs);
    const asked = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
    const pauseMs = Math.max(asked, ceiling / 2 + (Math.random() * ceiling) / 2);
    const level = expired || failures < 3 ? 'debug' : 'warn';
    this.#log[level](
      { err: error, failures, pauseMs: Math.round(pauseMs) },
      expired ? 'listing anew' : 'watch lost',
    );
    await delay(pauseMs, undefined, { signal }).catch(() => undefined);
  }

  get #path(): string {
    return pathOf(this.#options.resource, this.#options.namespace);
  }

  get #selectors(): Readonly<Record<string, string | undefined>> {
    return { labelSelector: this.#options.labelSelector, fieldSelector: this.#options.fieldSelector };
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, pageSize = listPage } = this.#options;
    const seen = new Set<string>();
    let next: string | undefined;
    let version = '';
    do {
      const query = { ...this.#selectors, limit: pageSize, continue: next };
      const page = await client.request<List<T>>('GET', this.#path, { query, signal });
      for (const item of page.items) {
        seen.add(keyOf(item));
        this.#put(item);
      }
      version = page.metadata.resourceVersion;
      next = page.metadata.continue || undefined;
    } while (next !== undefined);
    for (const key of this.#objects.keys()) if (!seen.has(key)) this.#drop(key, version);
    this.#version = version;
    this.#hasSynced = true;
    this.#synced.resolve();
    this.#log.debug({ objects: this.#objects.size }, 'listed');
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const query = {
      ...this.#selectors,
      resourceVersion: this.#version ?? undefined,
      allowWatchBookmarks: true,
      timeoutSeconds: watchSeconds(),
    };
    const body = await this.#options.client.watch(this.#path, query, silenceMs, signal);
    for await (const line of linesOf(body)) this.#event(JSON.parse(line));
  }

  #event({ type, object }: WatchEvent<T>): void {
    if (type === 'ERROR') {
      const status = 'code' in object ? Number(object.code) : 0;
      throw kubeErrorOf(status, JSON.stringify(object));
    }
    if (type === 'DELETED') this.#drop(keyOf(object), object.metadata.resourceVersion);
    else if (type !== 'BOOKMARK') this.#put(object);
    this.#version = object.metadata.resourceVersion ?? this.#version;
  }

  #put(object: T): void {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    if (before !== undefined && !newer(object.metadata.resourceVersion, before.metadata.resourceVersion))
      return;
    const now = this.#slim(object);
    this.#objects.set(key, now);
    for (const listener of this.#listeners) listener(now, before);
  }

  /** It was gone at that version; what is newer was made since, under the same name. */
  #drop(key: string, version: string | undefined): void {
    const before = this.#objects.get(key);
    if (before === undefined) return;
    if (version !== undefined && newer(before.metadata.resourceVersion, version)) return;
    this.#objects.delete(key);
    for (const listener of this.#listeners) listener(undefined, before);
  }

  /** Without what the API server and kubectl keep for themselves. Items of a list don't say what they are. */
  #slim(object: T): T {
    const { apiVersion, kind } = this.#options.resource;
    const { managedFields: _managed, annotations, ...metadata } = object.metadata;
    const { [lastApplied]: _applied, ...kept } = annotations ?? {};
    const whole = {
      ...object,
      apiVersion,
      kind,
      metadata: annotations === undefined ? metadata : { ...metadata, annotations: kept },
    };
    return this.#options.slim?.(whole) ?? whole;
  }
}

/** Versions of one kind are numbers that grow (KEP-5504); equal ones are no news. */
function newer(version: string | undefined, than: string | undefined): boolean {
  if (version === undefined || than === undefined) return true;
  return version.length === than.length ? version > than : version.length > than.length;
}

async function* linesOf(body: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const text = decoder.decode(chunk, { stream: true });
    const lines = text.split('\n');
    const last = lines.pop() ?? '';
    for (const line of lines) {
      const whole = rest + line;
      rest = '';
      if (whole !== '') yield whole;
    }
    rest += last;
  }
}
