/**
 * Emptying the home of a Terminal that somebody asked it for. Each step is taken from what is there, so that it goes on
 * after a crash at any line: the home is emptied while no Pod of the terminal can be, that it is done is written before one
 * can be again, and what is written is never undone.
 * @module
 */
import type { Logger } from 'pino';
import type { KubeClient } from '../kubernetes/client.ts';
import type { EventRecorder } from '../kubernetes/event-recorder.ts';
import { keyOf } from '../kubernetes/informer.ts';
import { type Pod, pods } from '../kubernetes/objects.ts';
import { backoffMs } from '../reconcile/backoff.ts';
import type { Caches } from './caches.ts';
import { childNames } from './child-names.ts';
import type { OperatorDefaults } from './defaults.ts';
import type { Children } from './ensure.ts';
import { podSpecProblems } from './pod.ts';
import type { PodLifecycle, Seen } from './pod-lifecycle.ts';
import { type PodState, podState } from './pod-state.ts';
import { resetOf, resetPodOf } from './reset-pod.ts';
import { keepAnnotation, type ResetRequest } from './reset-request.ts';
import { fieldManager, resetFailed, type TerminalResource, terminals } from './terminal-resource.ts';

export interface HomeResetOptions {
  readonly client: KubeClient;
  readonly caches: Caches;
  readonly children: Pick<Children, 'find'>;
  readonly pods: Pick<PodLifecycle, 'delete'>;
  readonly defaults: OperatorDefaults;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly log: Logger;
}

/** What is written of a reset has a writer of its own: no other write of the status can take it back. */
const resetManager = `${fieldManager}-reset`;

/** Before anything else. */
export const stopping = 'the terminal is being stopped';

interface Failure {
  /** The reset that failed. */
  readonly at: string;
  readonly count: number;
  readonly message: string;
  /** Epoch ms of the next try. */
  readonly until: number;
}

export class HomeReset {
  readonly #options: HomeResetOptions;
  readonly #failures = new Map<string, Failure>();

  constructor(options: HomeResetOptions) {
    this.#options = options;
  }

  /**
   * Does the one next thing.
   * @throws CollisionError, LeavingError, KubeError
   */
  async step(terminal: TerminalResource, request: ResetRequest, signal: AbortSignal): Promise<Seen> {
    const { children, caches, defaults, pods: lifecycle } = this.#options;
    const { at, keep } = request;
    const problems =
      keep === null
        ? [`${keepAnnotation} is no JSON list of paths in the home`]
        : podSpecProblems(terminal, defaults);
    if (keep === null || problems.length > 0) return resetFailure(problems.join('; '), null);
    const pod = await children.find(terminal, pods, caches.pods, childNames(terminal).pod, signal);
    if (pod === undefined) return this.#begin(terminal, { at, keep }, signal);
    if (resetOf(pod) !== at) {
      await lifecycle.delete(terminal, pod, signal);
      return emptying(stopping);
    }
    if (pod.status?.phase === 'Succeeded') {
      await this.#done(terminal, at, signal);
      await lifecycle.delete(terminal, pod, signal);
      return emptying('it is empty');
    }
    if (pod.status?.phase === 'Failed') return this.#failed(terminal, pod, at, signal);
    const { phase, message } = podState(pod);
    return phase === 'Error' ? resetFailure(message, null) : emptying(message || 'it is being emptied');
  }

  /** The Terminal is gone. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  async #begin(
    terminal: TerminalResource,
    request: { readonly at: string; readonly keep: readonly string[] },
    signal: AbortSignal,
  ): Promise<Seen> {
    const { client, caches, defaults } = this.#options;
    // Such a home went with its Pod.
    if (!terminal.spec.persistence.enabled) {
      await this.#done(terminal, request.at, signal);
      return emptying('it is empty');
    }
    const failure = this.#failures.get(keyOf(terminal));
    if (failure?.at === request.at && failure.until > Date.now())
      return resetFailure(failure.message, failure.until);
    const wanted = resetPodOf(terminal, defaults, request);
    caches.pods.absorb(await client.apply(pods, wanted, { manager: fieldManager, force: false, signal }));
    return emptying('it is about to be emptied');
  }

  async #done(terminal: TerminalResource, lastResetAt: string, signal: AbortSignal): Promise<void> {
    const { client, caches, events, log } = this.#options;
    const { name, namespace = '', uid = '' } = terminal.metadata;
    const { apiVersion, kind } = terminals;
    const object = { apiVersion, kind, metadata: { name, namespace, uid }, status: { lastResetAt } };
    const options = { manager: resetManager, force: true, subresource: 'status', signal };
    caches.terminals.absorb(await client.apply(terminals, object, options));
    this.#failures.delete(keyOf(terminal));
    log.info({ terminal: name, asked: lastResetAt }, 'home emptied');
    events.record(terminal, 'Normal', 'HomeReset', `emptied the home, as asked for at ${lastResetAt}`);
  }

  /** A Pod that ended tells nothing more; the next one comes after a pause. */
  async #failed(terminal: TerminalResource, pod: Pod, at: string, signal: AbortSignal): Promise<Seen> {
    const key = keyOf(terminal);
    const before = this.#failures.get(key);
    const count = before?.at === at ? before.count + 1 : 1;
    const message = endOf(pod);
    const until = Date.now() + backoffMs(count);
    await this.#options.pods.delete(terminal, pod, signal);
    this.#failures.set(key, { at, count, message, until });
    return resetFailure(message, until);
  }
}

/** How a reset that goes on by itself is told. */
export function resetting(message: string): PodState {
  return {
    phase: 'Provisioning',
    reason: 'Resetting',
    message: `its home is reset: ${message}`,
    progressing: true,
  };
}

function emptying(message: string): Seen {
  const state = resetting(message);
  return { pod: undefined, state, notes: [], trouble: null, lookAgainAt: null };
}

/** It waits for somebody to mend that, and is tried again. */
export function resetFailure(why: string, lookAgainAt: number | null): Seen {
  const message = `its home could not be emptied: ${why}`;
  const state: PodState = { phase: 'Error', reason: resetFailed, message, progressing: false };
  return { pod: undefined, state, notes: [], trouble: null, lookAgainAt };
}

function endOf({ status }: Pod): string {
  const [container] = status?.containerStatuses ?? [];
  const end = container?.state?.terminated;
  const said = end?.message?.trim().split('\n').at(-1);
  return status?.message ?? said ?? end?.reason ?? status?.reason ?? 'the Pod failed';
}
