/** Bringing a terminal up: it is declared, said to be used, and waited for until its Pod answers. @module */
import { StartFailedError } from '../../errors.ts';
import { KubeError } from '../../kubernetes/kube-error.ts';
import { wanted } from '../../operator/idle.ts';
import { isAwaited } from '../../terminal/plan.ts';
import type { Desired, RunningTerminal } from '../../terminal/terminal.ts';
import type { Progress } from '../backend.ts';
import type { ClusterActivity } from './cluster-activity.ts';
import { type Declarer, declare, declareInPlace, isDeclared, type PodSettings } from './declare.ts';
import { requestFailure, startFailure, startTimeout } from './failures.ts';
import { type AddressKind, beforeStartMs, lastActivityOf, observe, type Parts, reasonOf } from './observe.ts';
import type { TerminalCache } from './terminal-cache.ts';
import type { TerminalWriter } from './terminal-writer.ts';
import { until } from './until.ts';

export interface TerminalStartsOptions extends Declarer {
  readonly address: AddressKind;
  readonly pods: PodSettings;
  readonly cache: TerminalCache;
  readonly activity: ClusterActivity;
  readonly writer: TerminalWriter;
}

/** A use that was written so lately need not be written again to keep a terminal running. */
const freshMs = 5_000;
const attempts = 3;

export class TerminalStarts {
  readonly #options: TerminalStartsOptions;

  constructor(options: TerminalStartsOptions) {
    this.#options = options;
  }

  /**
   * Brings it up as it is desired, in another Pod where that takes one.
   * @throws StartFailedError, StartTimeoutError, ImagePullError, EngineUnavailableError, the signal's reason
   */
  bringUp(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal> {
    return this.#bringUp(desired, false, progress, signal);
  }

  /**
   * The same, but one that is not ready for a moment keeps its Pod, in which somebody works: it is waited for until that is
   * ready again.
   * @throws as `bringUp`
   */
  bringBack(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal> {
    return this.#bringUp(desired, true, progress, signal);
  }

  async #bringUp(
    desired: Desired,
    keepsPod: boolean,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<RunningTerminal> {
    await this.#options.cache.ready(signal);
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#declareAndWake(desired, keepsPod, signal);
        return await this.#started(desired, progress, signal);
      } catch (error) {
        signal.throwIfAborted();
        // Deleted by somebody in the meantime, or changed at the same moment.
        const again = error instanceof KubeError && (error.status === 404 || error.status === 409);
        if (!again || attempt === attempts) throw requestFailure(error);
      }
    }
  }

  async #declareAndWake(desired: Desired, keepsPod: boolean, signal: AbortSignal): Promise<void> {
    const { cache, pods, writer, activity } = this.#options;
    cache.throwIfOthers(desired.name);
    const parts = cache.get(desired.name);
    const existing = parts?.terminal;
    const whole = declare(desired, pods, this.#options, existing);
    const stays = keepsPod && parts !== undefined && this.#isUp(parts);
    const declared = stays ? declareInPlace(parts.terminal, whole, desired.suspended) : whole;
    const same = existing !== undefined && isDeclared(existing, declared);
    const terminal = same ? existing : await writer.apply(declared, signal);
    const now = Date.now();
    const { running, lookAgainAt } = wanted(terminal, now);
    const endsMeanwhile = lookAgainAt !== null && lookAgainAt < now + desired.startTimeoutMs + beforeStartMs;
    if (running && (!endsMeanwhile || now - lastActivityOf(terminal) < freshMs)) return;
    await activity.wake(terminal, signal);
  }

  #isUp(parts: Parts): boolean {
    const actual = observe(parts, this.#options.address);
    return actual != null && (actual.phase === 'Running' || isAwaited(actual, Date.now()));
  }

  #started(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal> {
    const { cache, address, activity } = this.#options;
    const { name, startTimeoutMs } = desired;
    const ms = startTimeoutMs + beforeStartMs;
    let detail = 'it starts';
    const look = (): RunningTerminal | undefined => {
      const parts = cache.get(name);
      const actual = parts && observe(parts, address);
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
    const rest = activity.keepAwake(name, desired.idleTimeoutMs, signal);
    return until({ cache, name, ms, signal, late }, look).finally(rest);
  }
}
