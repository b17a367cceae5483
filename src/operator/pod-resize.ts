/**
 * Other CPU and memory of a Pod that runs. Where it can't have them it keeps those that it has: the next one has the new ones
 * by itself, and nobody's work ends for it.
 * @module
 */
import type { KubeClient } from '../kubernetes/client.ts';
import type { EventRecorder } from '../kubernetes/event-recorder.ts';
import { keyOf } from '../kubernetes/informer.ts';
import { isRefusal, type KubeError } from '../kubernetes/kube-error.ts';
import { type Container, type Pod, pathOf, pods } from '../kubernetes/objects.ts';
import { parseCpu, parseMemory } from '../terminal/quantity.ts';
import type { Caches } from './caches.ts';
import { containerName } from './child-names.ts';
import { podState } from './pod-state.ts';
import { fieldManager, type TerminalResource } from './terminal-resource.ts';
import { lacksSubresource } from './trouble.ts';

export interface PodResizeOptions {
  readonly client: KubeClient;
  readonly caches: Pick<Caches, 'pods'>;
  readonly events: Pick<EventRecorder, 'record'>;
}

type Resources = NonNullable<Container['resources']>;

/** What became of it; empty where it has what it should. */
export interface Resized {
  /** It has another size now. */
  readonly pod?: Pod;
  /** Why it keeps the one that it has, in a sentence. */
  readonly refused?: string;
}

export class PodResize {
  readonly #options: PodResizeOptions;
  /** By Terminal: what the API server said to a new size of its Pod; it would say the same again until Pod or size change. */
  readonly #refused = new Map<string, { readonly asked: string; readonly message: string }>();

  constructor(options: PodResizeOptions) {
    this.#options = options;
  }

  /** @throws KubeError for what is to be tried again: a quota that is used up, a Pod that has gone */
  async ensure(
    terminal: TerminalResource,
    existing: Pod,
    wanted: Pod,
    signal: AbortSignal,
  ): Promise<Resized> {
    const resources = resourcesOf(wanted);
    if (resources === undefined || sameResources(resourcesOf(existing), resources)) return {};
    const { requests, limits } = resources;
    const asked = `${existing.metadata.uid} ${JSON.stringify({ requests, limits })}`;
    const before = this.#refused.get(keyOf(terminal));
    if (before?.asked === asked) return { refused: before.message };
    const body = { spec: { containers: [{ name: containerName, resources: { requests, limits } }] } };
    const strategic = 'application/strategic-merge-patch+json';
    try {
      const pod = await patchPod(this.#options, existing, body, strategic, signal, 'resize');
      this.#refused.delete(keyOf(terminal));
      const text = `CPU ${limits?.cpu}, memory ${limits?.memory}`;
      this.#options.events.record(terminal, 'Normal', 'PodResized', `changed in place: ${text}`);
      return { pod };
    } catch (error) {
      const why = refusalOf(error, existing);
      if (why === null) throw error;
      const message = `the Pod keeps its CPU and memory: ${why} (the next start brings the new ones)`;
      this.#refused.set(keyOf(terminal), { asked, message });
      this.#options.events.record(terminal, 'Warning', 'PodNotResized', message);
      return { refused: message };
    }
  }

  /** The Terminal is gone, or somebody asks for another try. */
  forget(key: string): void {
    this.#refused.delete(key);
  }
}

/** Changes what is named in `body` alone. @throws KubeError */
export async function patchPod(
  { client, caches }: Pick<PodResizeOptions, 'client' | 'caches'>,
  { metadata }: Pod,
  body: unknown,
  contentType: string,
  signal: AbortSignal,
  subresource?: string,
): Promise<Pod> {
  const path = pathOf(pods, metadata.namespace, metadata.name, subresource);
  const query = { fieldManager };
  const pod = await client.request<Pod>('PATCH', path, { query, body, contentType, signal });
  caches.pods.absorb(pod);
  return pod;
}

/** Whether somebody's work may be in it: its container runs. */
export function isAtWork(pod: Pod): boolean {
  const own = pod.status?.containerStatuses?.find(({ name }) => name === containerName);
  return own?.state?.running !== undefined || podState(pod).phase === 'Running';
}

/** Why asking again helps nothing; null where it may. */
function refusalOf(error: unknown, { metadata }: Pod): string | null {
  if (lacksSubresource(error, metadata.name))
    return 'this cluster can not change those of a running Pod, as Kubernetes 1.33 and later can';
  return isRefusal(error) && !isQuota(error) ? error.message : null;
}

/** Room in a quota comes by itself. */
function isQuota({ message }: KubeError): boolean {
  return message.includes('exceeded quota');
}

function resourcesOf({ spec }: Pod): Resources | undefined {
  return spec?.containers.find(({ name }) => name === containerName)?.resources;
}

/** The API server writes quantities its own way ("0.5" as "500m"), so that their values count. */
function sameResources(actual: Resources | undefined, wanted: Resources): boolean {
  return (['requests', 'limits'] as const).every((part) => {
    const [is, should] = [actual?.[part], wanted[part]];
    const same = (name: string, parse: (quantity: string) => number) => {
      if (should?.[name] === undefined) return true;
      // Nothing is wanted to be 0, which has no value here.
      return is?.[name] !== undefined && is[name] !== '0' && parse(is[name]) === parse(should[name]);
    };
    return same('cpu', parseCpu) && same('memory', parseMemory);
  });
}
