/**
 * Policies from ConfigMaps of a cluster, by a watch: no restart, and no waiting for the kubelet to update a mount.
 * @module
 */
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { KubeClient } from '../kubernetes/client.ts';
import { EventRecorder } from '../kubernetes/event-recorder.ts';
import { Informer } from '../kubernetes/informer.ts';
import { type ConfigMap, configMaps, type KubeObject, pathOf } from '../kubernetes/objects.ts';
import type { PolicyId } from '../terminal/terminal.ts';
import type { PolicyNews, PolicySet, PolicySource, SourceFile, SourceUnavailable } from './policy.ts';
import { problemText } from './store.ts';

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
}

/** On each ConfigMap: what became of it, as JSON. */
export const statusAnnotation = 'terminals.openwebui.com/status';

const component = 'terminals-orchestrator';
/** In the annotation; more would be read by nobody. */
const mostProblems = 20;

interface List {
  readonly items: readonly ConfigMap[];
}

interface Watch {
  readonly client: KubeClient;
  readonly informer: Informer<ConfigMap>;
  readonly events: EventRecorder;
}

export class ConfigMapSource implements PolicySource {
  readonly #options: ConfigMapSourceOptions;
  readonly #selectors: { readonly labelSelector?: string; readonly fieldSelector?: string };
  #watch: Watch | null = null;
  /** Said last of each ConfigMap; its own annotation is known a moment later only. */
  readonly #said = new Map<string, string>();
  #revision: string | null = null;
  /** What was made of it last. */
  #set: PolicySet | null = null;

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

  /** An Event where something is wrong, and what became of each ConfigMap in an annotation on it. */
  report(set: PolicySet): void {
    this.#set = set;
    for (const map of this.#watch?.informer.values() ?? []) void this.#say(map, set);
  }

  /** An Event on the ConfigMap that declares the policy. */
  said(policy: PolicyId, { alarming, reason, message }: PolicyNews): void {
    const file = this.#set?.policies.get(policy)?.declaredAt.file;
    for (const map of this.#watch?.informer.values() ?? []) {
      if (file?.startsWith(pathIn(map, '')))
        this.#watch?.events.record(
          map,
          alarming ? 'Warning' : 'Normal',
          reason,
          `policy ${policy}: ${message}`,
        );
    }
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
    this.#watch = { client, informer, events };
    informer.onChange((now, before) => {
      if (informer.hasSynced && !sameFiles(now, before)) changed();
      if (now === undefined && before !== undefined) this.#forget(before, events);
    });
    void informer.synced.then(() => {
      if (!signal.aborted) changed();
    });
    await informer.run(signal);
    this.#watch = null;
    await client.close();
  }

  #forget(map: ConfigMap, events: EventRecorder): void {
    events.forget(map);
    this.#said.delete(map.metadata.name);
  }

  async #say(map: ConfigMap, set: PolicySet): Promise<void> {
    if (this.#watch === null) return;
    const { client, events } = this.#watch;
    const { name, namespace } = map.metadata;
    const { text, problems } = statusOf(map, set);
    const last = this.#said.get(name);
    this.#said.set(name, text);
    if (problems.length > 0) events.record(map, 'Warning', 'PolicyProblem', problems.join('\n'));
    else if (last !== undefined && last !== text)
      events.record(map, 'Normal', 'PoliciesLoaded', 'all of its policies are in force');
    if (last === text || map.metadata.annotations?.[statusAnnotation] === text) return;
    try {
      const body = { metadata: { annotations: { [statusAnnotation]: text } } };
      const options = {
        query: { fieldManager: component },
        body,
        contentType: 'application/merge-patch+json',
      };
      await client.request('PATCH', pathOf(configMaps, namespace, name), options);
    } catch (error) {
      this.#options.log.debug({ err: error, configMap: name }, 'its status could not be written');
    }
  }
}

function revisionOf(maps: readonly ConfigMap[]): string {
  const [first, ...others] = maps;
  if (first !== undefined && others.length === 0) return first.metadata.resourceVersion ?? '';
  const versions = maps.map(({ metadata: { name, resourceVersion } }) => `${name}:${resourceVersion}`);
  return versions.sort().join(',');
}

/** `configmap/NAME/KEY` is the path of a file. */
function pathIn(map: KubeObject, key: string): string {
  return `configmap/${map.metadata.name}/${key}`;
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

function statusOf(
  map: ConfigMap,
  set: PolicySet,
): { readonly text: string; readonly problems: readonly string[] } {
  const prefix = pathIn(map, '');
  const own = set.problems.filter(({ file }) => file.startsWith(prefix));
  const problems = own
    .slice(0, mostProblems)
    .map((problem) => problemText({ ...problem, file: problem.file.slice(prefix.length) }));
  const policies = [...set.policies.values()]
    .filter(({ declaredAt }) => declaredAt.file.startsWith(prefix))
    .map(({ id }) => id);
  const more = own.length > problems.length ? { more: own.length - problems.length } : {};
  return { text: JSON.stringify({ policies, problems, ...more }), problems };
}
