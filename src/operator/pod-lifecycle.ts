/**
 * The Pod of a Terminal: made, replaced, resized, put right and removed.
 * @module
 */
import type { KubeClient } from '../kubernetes/client.ts';
import type { EventRecorder } from '../kubernetes/event-recorder.ts';
import { keyOf } from '../kubernetes/informer.ts';
import { type Pod, pods } from '../kubernetes/objects.ts';
import { backoffMs } from '../reconcile/backoff.ts';
import type { Caches } from './caches.ts';
import { childNames, keyHashAnnotation, labels } from './child-names.ts';
import { isAsWanted } from './covers.ts';
import type { OperatorDefaults } from './defaults.ts';
import type { Children } from './ensure.ts';
import { ownershipOf } from './ownership.ts';
import { podOf, podProblems } from './pod.ts';
import { isAtWork, PodResize, patchPod } from './pod-resize.ts';
import { endOf, type PodState, podState, resizeTrouble } from './pod-state.ts';
import { resetOf } from './reset-pod.ts';
import { fieldManager, type TerminalResource } from './terminal-resource.ts';
import type { Trouble } from './trouble.ts';

/** A Pod as it was found or made. */
export interface Seen {
  readonly pod: Pod | undefined;
  readonly state: PodState;
  readonly notes: readonly string[];
  readonly trouble: Trouble | null;
  /** Epoch ms; null: an event brings the next look. */
  readonly lookAgainAt: number | null;
}

export interface PodLifecycleOptions {
  readonly client: KubeClient;
  readonly caches: Caches;
  readonly children: Pick<Children, 'find'>;
  readonly defaults: OperatorDefaults;
  readonly events: Pick<EventRecorder, 'record'>;
}

export class PodLifecycle {
  readonly #options: PodLifecycleOptions;
  /** Pods that ended one after the other, by Terminal: the next one waits longer each time. */
  readonly #ends = new Map<string, { readonly count: number; readonly until: number }>();
  readonly #resize: PodResize;

  constructor(options: PodLifecycleOptions) {
    this.#options = options;
    this.#resize = new PodResize(options);
  }

  /** undefined: there is none. @throws CollisionError, LeavingError, KubeError */
  find(terminal: TerminalResource, signal: AbortSignal): Promise<Pod | undefined> {
    const { children, caches } = this.#options;
    return children.find(terminal, pods, caches.pods, childNames(terminal).pod, signal);
  }

  /**
   * Makes it, or does the one next thing that brings it nearer to what it should be.
   * @param existing as `find` gave it
   * @throws KubeError
   */
  async ensure(
    terminal: TerminalResource,
    existing: Pod | undefined,
    keyHash: string,
    signal: AbortSignal,
  ): Promise<Seen> {
    const { defaults } = this.#options;
    const problems = podProblems(terminal, defaults);
    const trouble =
      problems.length === 0 ? null : { reason: 'InvalidPodTemplate', message: problems.join('; ') };
    if (trouble !== null) return this.#kept(existing, trouble);
    const wanted = podOf(terminal, defaults, keyHash);
    if (existing === undefined) return this.#create(terminal, wanted, signal);

    if (resetOf(existing) !== undefined)
      return this.#replace(terminal, existing, 'its home is empty', signal);
    const end = endOf(existing);
    if (end !== null) return this.#replaceEnded(terminal, existing, end, signal);
    const outdated = outdatedReason(terminal, existing, wanted);
    if (outdated !== null) return this.#replace(terminal, existing, outdated, signal);
    return this.#adjust(terminal, existing, wanted, signal);
  }

  /** Removes the Pod of a terminal that is not wanted. */
  async remove(terminal: TerminalResource, message: string, signal: AbortSignal): Promise<void> {
    const pod = this.#options.caches.pods.get(keyOf(terminal));
    if (pod === undefined || pod.metadata.deletionTimestamp || ownershipOf(pod, terminal) !== 'ours') return;
    await this.delete(terminal, pod, signal);
    if (resetOf(pod) === undefined) this.#options.events.record(terminal, 'Normal', 'Idle', message);
  }

  /** The Terminal is gone, or somebody asks for another try. */
  forget(key: string): void {
    this.#ends.delete(key);
    this.#resize.forget(key);
  }

  #kept(pod: Pod | undefined, trouble: Trouble): Seen {
    const state: PodState =
      pod === undefined || pod.metadata.deletionTimestamp
        ? { phase: 'Error', ...trouble, message: '', progressing: false }
        : podState(pod);
    return { pod, state, notes: [], trouble, lookAgainAt: null };
  }

  async #create(terminal: TerminalResource, wanted: Pod, signal: AbortSignal): Promise<Seen> {
    const { client, caches, events } = this.#options;
    const ended = this.#ends.get(keyOf(terminal));
    if (ended !== undefined && ended.until > Date.now()) {
      return seen(
        changing('Restarting', `${ended.count} Pods ended one after the other; the next one waits`),
        ended.until,
      );
    }
    const pod = await client.apply(pods, wanted, { manager: fieldManager, force: false, signal });
    caches.pods.absorb(pod);
    events.record(
      terminal,
      'Normal',
      'PodCreated',
      `created Pod ${wanted.metadata.name} with image ${terminal.spec.image}`,
    );
    return this.#view(terminal, pod);
  }

  async #replaceEnded(
    terminal: TerminalResource,
    pod: Pod,
    end: { readonly reason: string; readonly message: string },
    signal: AbortSignal,
  ): Promise<Seen> {
    const key = keyOf(terminal);
    const count = (this.#ends.get(key)?.count ?? 0) + 1;
    await this.delete(terminal, pod, signal);
    this.#ends.set(key, { count, until: count === 1 ? 0 : Date.now() + backoffMs(count - 1) });
    this.#options.events.record(terminal, 'Warning', end.reason, `${end.message}; the Pod is made anew`);
    return seen(changing(end.reason, `${end.message}; the Pod is made anew`));
  }

  async #replace(terminal: TerminalResource, pod: Pod, reason: string, signal: AbortSignal): Promise<Seen> {
    await this.delete(terminal, pod, signal);
    this.#options.events.record(terminal, 'Normal', 'PodReplaced', `replacing the Pod: ${reason}`);
    return seen(changing('Replacing', `the Pod is replaced: ${reason}`));
  }

  /** Takes away a Pod that was looked at. */
  async delete(terminal: TerminalResource, { metadata }: Pod, signal: AbortSignal): Promise<void> {
    const { client, caches } = this.#options;
    const namespace = terminal.metadata.namespace ?? '';
    const ending = await client.delete(pods, namespace, metadata.name, metadata.uid, signal);
    if (ending !== undefined) caches.pods.absorb(ending);
  }

  /** What can be changed without another Pod. */
  async #adjust(terminal: TerminalResource, existing: Pod, wanted: Pod, signal: AbortSignal): Promise<Seen> {
    if (terminal.spec.suspend) return this.#view(terminal, existing);
    const { pod, refused } = await this.#resize.ensure(terminal, existing, wanted, signal);
    if (pod !== undefined) return this.#view(terminal, pod);
    if (refused !== undefined && !isAtWork(existing))
      return this.#replace(terminal, existing, 'other CPU or memory', signal);
    const notes = refused === undefined ? [] : [refused];
    const { spec: _spec, ...head } = wanted;
    if (isAsWanted(existing, head, terminal)) return this.#view(terminal, existing, notes);
    // Not by an apply: without the whole spec it would take back the spec that the first apply gave.
    const { labels: own, annotations, ownerReferences } = wanted.metadata;
    const patched = await patchPod(
      this.#options,
      existing,
      { metadata: { uid: existing.metadata.uid, labels: own, annotations, ownerReferences } },
      'application/merge-patch+json',
      signal,
    );
    return this.#view(terminal, patched, notes);
  }

  #view(terminal: TerminalResource, pod: Pod, notes: readonly string[] = []): Seen {
    const state = podState(pod);
    if (state.phase === 'Running') this.#ends.delete(keyOf(terminal));
    const trouble = resizeTrouble(pod);
    return { ...seen(state), pod, notes: trouble === null ? notes : [...notes, trouble] };
  }
}

/** Why only another Pod helps, in words; null where this one will do. */
function outdatedReason({ spec }: TerminalResource, existing: Pod, wanted: Pod): string | null {
  const revision = ({ metadata }: Pod) => metadata.labels?.[labels.revision];
  const keyHash = ({ metadata }: Pod) => metadata.annotations?.[keyHashAnnotation];
  // Nobody can reach it any more: whoever asks the Secret is given another key than the one it was started with.
  if (keyHash(existing) !== keyHash(wanted)) return 'the key in the Secret is another one';
  if (!spec.suspend && revision(existing) !== revision(wanted)) return 'the Terminal was changed';
  return null;
}

function seen(state: PodState, lookAgainAt: number | null = null): Seen {
  return { pod: undefined, state, notes: [], trouble: null, lookAgainAt };
}

function changing(reason: string, message: string): PodState {
  return { phase: 'Provisioning', reason, message, progressing: true };
}
