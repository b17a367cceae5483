/**
 * Policies from ConfigMaps of a cluster, by a watch: no restart, and no waiting for the kubelet to update a mount.
 * @module
 */
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { KubeClient } from '../kubernetes/client.ts';
import { EventRecorder } from '../kubernetes/event-recorder.ts';
import { Informer } from '../kubernetes/informer.ts';
import { type ConfigMap, configMaps, pathOf } from '../kubernetes/objects.ts';
import { requestOf } from '../kubernetes/reconcile-request.ts';
import type { PolicyId } from '../terminal/terminal.ts';
import { ConfigMapReport, component, type News, pathIn } from './config-map-report.ts';
import type { PolicySet, PolicySource, SourceFile, SourceUnavailable, Standing } from './policy.ts';

/** A client, and the namespace that is looked in. */
export interface ConfigMapConnection {
  readonly client: KubeClient;
  readonly namespace: string;
}

export interface ConfigMapSourceOptions {
  /** A name, or a label selector (with a `=` in it). */
  readonly from: string;
  /** Called when it is needed first. Every client that it gives is closed by the source. */
  readonly connect: () => Promise<ConfigMapConnection>;
  readonly log: Logger;
  /** Whether this process tells on the ConfigMaps what became of them; absent: it does. */
  readonly leads?: () => boolean;
}

interface List {
  readonly items: readonly ConfigMap[];
}

interface Watch {
  readonly informer: Informer<ConfigMap>;
  readonly report: ConfigMapReport;
}

export class ConfigMapSource implements PolicySource {
  readonly #options: ConfigMapSourceOptions;
  readonly #selectors: { readonly labelSelector?: string; readonly fieldSelector?: string };
  #watch: Watch | null = null;
  #news: News | null = null;
  #request: () => Promise<void> = async () => undefined;
  /** The request of each ConfigMap for a look that was answered last. */
  readonly #handled = new Map<string, string | undefined>();
  #revision: string | null = null;

  constructor(options: ConfigMapSourceOptions) {
    const { from } = options;
    this.#options = options;
    this.#selectors = from.includes('=')
      ? { labelSelector: from }
      : { fieldSelector: `metadata.name=${from}` };
  }

  get description(): string {
    const { from } = this.#options;
    return from.includes('=') ? `ConfigMaps labelled ${from}` : `ConfigMap ${from}`;
  }

  /** The resourceVersion, of several ConfigMaps each with its name. */
  get revision(): string | null {
    return this.#revision;
  }

  async read(): Promise<readonly SourceFile[] | SourceUnavailable> {
    try {
      const maps = this.#watch?.informer.hasSynced ? [...this.#watch.informer.values()] : await this.#list();
      // As with a directory that is not there: nothing may be concluded from that.
      if (maps.length === 0) return { unavailable: `${this.description}: there is none` };
      this.#revision = revisionOf(maps);
      return maps.flatMap(filesOf).sort((a, b) => (a.path < b.path ? -1 : 1));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return { unavailable: `${this.description}: the API server can't be asked: ${why}` };
    }
  }

  watch(changed: () => void, signal: AbortSignal): void {
    void this.#follow(changed, signal).catch((error: unknown) =>
      this.#options.log.error({ err: error }, 'the policies can not be watched'),
    );
  }

  report(set: PolicySet): void {
    this.#news = { standings: new Map(), ...this.#news, set };
    this.#tellAll();
  }

  announce(standings: ReadonlyMap<PolicyId, Standing>): void {
    if (this.#news === null) return;
    this.#news = { ...this.#news, standings };
    this.#tellAll();
  }

  onRequest(listener: () => Promise<void>): void {
    this.#request = listener;
  }

  async #list(): Promise<readonly ConfigMap[]> {
    const { client, namespace } = await this.#options.connect();
    try {
      const query = { ...this.#selectors, limit: 500 };
      return (await client.request<List>('GET', pathOf(configMaps, namespace), { query })).items;
    } finally {
      await client.close();
    }
  }

  async #follow(changed: () => void, signal: AbortSignal): Promise<void> {
    const { connect, log } = this.#options;
    const { client, namespace } = await connect();
    const informer = new Informer<ConfigMap>({
      ...this.#selectors,
      client,
      namespace,
      log,
      resource: configMaps,
    });
    const events = new EventRecorder({ client, component, instance: hostname(), log });
    const report = new ConfigMapReport({ client, events, log, leads: this.#options.leads ?? (() => true) });
    const watch = { informer, report };
    this.#watch = watch;
    informer.onChange((now, before) => {
      if (informer.hasSynced && !sameFiles(now, before)) changed();
      if (now === undefined) {
        if (before !== undefined) this.#forget(before, watch);
      } else if (before === undefined) this.#note(now);
      else if (requestOf(now) !== requestOf(before)) void this.#requested(now);
    });
    void informer.synced.then(() => {
      if (!signal.aborted) changed();
    });
    await informer.run(signal);
    this.#watch = null;
    await client.close();
  }

  /** Answered once all is read and looked at. */
  async #requested(map: ConfigMap): Promise<void> {
    await this.#request();
    this.#note(map);
    this.#tell(map);
  }

  /** Up to here every request is answered. */
  #note(map: ConfigMap): void {
    this.#handled.set(map.metadata.name, requestOf(map));
  }

  #forget(map: ConfigMap, { report }: Watch): void {
    report.forget(map);
    this.#handled.delete(map.metadata.name);
  }

  #tellAll(): void {
    for (const map of this.#watch?.informer.values() ?? []) this.#tell(map);
  }

  #tell(map: ConfigMap): void {
    if (this.#news !== null) this.#watch?.report.tell(map, this.#news, this.#handled.get(map.metadata.name));
  }
}

function revisionOf(maps: readonly ConfigMap[]): string {
  const [first, ...others] = maps;
  if (first !== undefined && others.length === 0) return first.metadata.resourceVersion ?? '';
  const versions = maps.map(({ metadata: { name, resourceVersion } }) => `${name}:${resourceVersion}`);
  return versions.sort().join(',');
}

const isPolicyFile = (key: string) => /\.ya?ml$/.test(key);

function filesOf(map: ConfigMap): readonly SourceFile[] {
  const texts = Object.entries(map.data ?? {}).filter(([key]) => isPolicyFile(key));
  const binaries = Object.keys(map.binaryData ?? {}).filter(isPolicyFile);
  return [
    ...texts.map(([key, text]) => ({ path: pathIn(map, key), text })),
    ...binaries.map((key) => ({ path: pathIn(map, key), unreadable: 'it is binary (not UTF-8 text)' })),
  ];
}

/** Labels and annotations are others' business. */
function sameFiles(now: ConfigMap | undefined, before: ConfigMap | undefined): boolean {
  const text = (map: ConfigMap | undefined) =>
    map && JSON.stringify([...filesOf(map)].sort((a, b) => (a.path < b.path ? -1 : 1)));
  return text(now) === text(before);
}
