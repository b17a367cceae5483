/**
 * One look at one Terminal: what should be, what is, the next thing to do, and what the status says then. Level-triggered:
 * nothing is kept from look to look but what saves a write.
 * @module
 */
import type { Logger } from 'pino';
import type { KubeClient } from '../kubernetes/client.ts';
import type { EventRecorder } from '../kubernetes/event-recorder.ts';
import { KubeError } from '../kubernetes/kube-error.ts';
import type { Pod } from '../kubernetes/objects.ts';
import { requestOf } from '../kubernetes/reconcile-request.ts';
import type { Phase } from '../terminal/terminal.ts';
import type { Caches } from './caches.ts';
import type { OperatorDefaults } from './defaults.ts';
import { Children } from './ensure.ts';
import { HomeReset, resetFailure, resetting, stopping } from './home-reset.ts';
import { type Wanted, wanted } from './idle.ts';
import { ownershipOf } from './ownership.ts';
import { PodLifecycle, type Seen } from './pod-lifecycle.ts';
import { type PodState, podState } from './pod-state.ts';
import { resetRequest } from './reset-request.ts';
import { checkQuantities } from './spec-quantities.ts';
import { idleMessage, isCurrent, type Observed, type OwnStatus, statusOf } from './status.ts';
import { fieldManager, type TerminalResource, terminals } from './terminal-resource.ts';
import { LeavingError, type Trouble, troubleOf } from './trouble.ts';

export interface TerminalReconcilerOptions {
  readonly client: KubeClient;
  readonly caches: Caches;
  readonly defaults: OperatorDefaults;
  readonly events: Pick<EventRecorder, 'record' | 'forget'>;
  readonly log: Logger;
}

/** When to look again without an event: at a time, or after a pause that grows with every failure (`failed`). */
export interface Outcome {
  readonly lookAgainAt: number | null;
  readonly failed: boolean;
}

export class TerminalReconciler {
  readonly #options: TerminalReconcilerOptions;
  readonly #children: Children;
  readonly #pods: PodLifecycle;
  readonly #resets: HomeReset;

  constructor(options: TerminalReconcilerOptions) {
    this.#options = options;
    this.#children = new Children(options);
    this.#pods = new PodLifecycle({ ...options, children: this.#children });
    this.#resets = new HomeReset({ ...options, children: this.#children, pods: this.#pods });
  }

  /**
   * Looks at it once.
   * @throws what is to be tried again and says nothing about the Terminal: no connection, a conflict, an overloaded server
   */
  async reconcile(key: string, signal: AbortSignal): Promise<Outcome> {
    const known = this.#present(key);
    if (known === undefined) return { lookAgainAt: null, failed: false };
    // Whoever asks for a look does not wait until a pause is over.
    if (requestOf(known) !== known.status?.lastHandledReconcileAt) this.#pods.forget(key);
    const unwanted = wanted(known, Date.now());
    // First it is said that nobody should come any more, then the Pod goes.
    if (!unwanted.running && !isSaid(known, unwanted)) {
      const state = isReset(unwanted) ? resetting(stopping) : null;
      await this.#write(key, statusOf(known, { ...nothing, wanted: unwanted, state }, new Date()), signal);
    }
    // The answer to that tells of whoever came before it was said.
    const terminal = this.#present(key);
    if (terminal === undefined) return { lookAgainAt: null, failed: false };
    const want = wanted(terminal, Date.now());
    const { seen, failed } = await this.#act(terminal, want, signal);
    const status = statusOf(
      terminal,
      { ...seen, wanted: want, state: want.running || isReset(want) ? seen.state : null },
      new Date(),
    );
    await this.#write(key, status, signal);
    this.#report(terminal, known.status?.phase, status);
    return { lookAgainAt: earliest(want.lookAgainAt, seen.lookAgainAt), failed };
  }

  /** The Terminal is gone. */
  forget(terminal: TerminalResource, key: string): void {
    this.#children.forget(terminal);
    this.#pods.forget(key);
    this.#resets.forget(key);
    this.#options.events.forget(terminal);
  }

  /** The garbage collector removes what a deleted Terminal leaves. */
  #present(key: string): TerminalResource | undefined {
    const terminal = this.#options.caches.terminals.get(key);
    return terminal?.metadata.deletionTimestamp ? undefined : terminal;
  }

  async #act(
    terminal: TerminalResource,
    want: Wanted,
    signal: AbortSignal,
  ): Promise<{ seen: Seen; failed: boolean }> {
    let notes: readonly string[] = [];
    const reset = resetRequest(terminal);
    try {
      if (!want.running && reset === null) await this.#pods.remove(terminal, idleMessage(want), signal);
      checkQuantities(terminal.spec);
      // Meanwhile, since it takes a question to the API server where there is none yet; what fails is thrown below.
      const found =
        want.running && reset === null ? this.#pods.find(terminal, signal) : Promise.resolve(undefined);
      found.catch(() => undefined);
      const around = await this.#children.ensure(terminal, signal);
      notes = around.notes;
      const existing = await found;
      const seen =
        reset !== null
          ? await this.#resets.step(terminal, reset, signal)
          : want.running
            ? await this.#pods.ensure(terminal, existing, around.keyHash, signal)
            : nothing;
      return { seen: { ...seen, notes: [...notes, ...seen.notes] }, failed: false };
    } catch (error) {
      if (error instanceof LeavingError) return { seen: { ...this.#leaving(error), notes }, failed: true };
      const trouble = troubleOf(error);
      if (trouble === null) throw error;
      this.#options.log.warn(
        { terminal: terminal.metadata.name, err: error },
        'the terminal can not be made',
      );
      if (reset !== null)
        return {
          seen: { ...resetFailure(`${trouble.reason}: ${trouble.message}`, null), notes },
          failed: true,
        };
      return { seen: { ...this.#troubled(terminal, trouble), notes }, failed: true };
    }
  }

  #leaving(error: LeavingError): Seen {
    const state: PodState = {
      phase: 'Provisioning',
      reason: 'Replacing',
      message: error.message,
      progressing: true,
    };
    return { ...nothing, state };
  }

  /** A Pod that runs goes on running, whatever is wrong around it. */
  #troubled(terminal: TerminalResource, trouble: Trouble): Seen {
    const pod = this.#ownPod(terminal);
    const none: PodState = { phase: 'Error', reason: trouble.reason, message: '', progressing: false };
    return { pod, state: pod === undefined ? none : podState(pod), notes: [], trouble, lookAgainAt: null };
  }

  #ownPod(terminal: TerminalResource): Pod | undefined {
    const { namespace = '', name } = terminal.metadata;
    const pod = this.#options.caches.pods.get(`${namespace}/${name}`);
    if (pod === undefined || pod.metadata.deletionTimestamp) return undefined;
    return ownershipOf(pod, terminal) === 'ours' ? pod : undefined;
  }

  async #write(key: string, status: OwnStatus, signal: AbortSignal): Promise<void> {
    const { client, caches } = this.#options;
    const terminal = caches.terminals.get(key);
    if (terminal === undefined || isCurrent(terminal, status)) return;
    const { name, namespace, uid } = terminal.metadata;
    const { apiVersion, kind } = terminals;
    const metadata = {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
    };
    const object = { apiVersion, kind, metadata, status };
    try {
      const options = { manager: fieldManager, force: true, subresource: 'status', signal };
      caches.terminals.absorb(await client.apply(terminals, object, options));
    } catch (error) {
      // Deleted, or another of its name: its event is under way.
      if (!(error instanceof KubeError && (error.status === 404 || error.status === 409))) throw error;
    }
  }

  /** What changed, as Events and in the log. */
  #report(
    terminal: TerminalResource,
    before: Phase | undefined,
    { phase, conditions = [] }: OwnStatus,
  ): void {
    const { events, log } = this.#options;
    if (phase !== before) log.info({ terminal: terminal.metadata.name, from: before, to: phase }, 'phase');
    if (phase === 'Running' && before !== 'Running')
      events.record(terminal, 'Normal', 'Running', 'the terminal answers');
    const stalled = conditions.find(({ type, status }) => type === 'Stalled' && status === 'True');
    if (stalled !== undefined) events.record(terminal, 'Warning', stalled.reason, stalled.message);
  }
}

const nothing: Seen & Pick<Observed, 'trouble'> = {
  pod: undefined,
  state: { phase: 'Pending', reason: 'Idle', message: '', progressing: false },
  notes: [],
  trouble: null,
  lookAgainAt: null,
};

/** Whether the status says already that nobody should come. Beside it may be more, which saying it anew would take away. */
function isSaid({ status }: TerminalResource, unwanted: Wanted): boolean {
  if (isReset(unwanted)) return status?.phase !== 'Running';
  return status?.phase === 'Idle' && status.idleSince === unwanted.idleSince;
}

/** It has no Pod of its own now, and is more than stopped. */
function isReset({ reason }: Wanted): boolean {
  return reason === 'ResetRequested';
}

function earliest(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other;
  return Math.min(one, other);
}
