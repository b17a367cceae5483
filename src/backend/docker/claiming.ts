/**
 * Making a container that is nobody's the terminal of a user: all that changes is its name.
 * @module
 */
import type Docker from 'dockerode';
import type { Logger } from 'pino';
import type { Desired, RunningTerminal } from '../../terminal/terminal.ts';
import { isHealthy } from '../health.ts';
import type { Claims } from './claims.ts';
import type { Containers } from './containers.ts';
import { engineCall, statusOf } from './engine.ts';

export interface ClaimingOptions {
  readonly docker: Docker;
  readonly containers: Containers;
  readonly claims: Claims;
  readonly log: Logger;
}

export class Claiming {
  readonly #options: ClaimingOptions;

  constructor(options: ClaimingOptions) {
    this.#options = options;
  }

  /** As the backend's `claim`. */
  async claim(warm: RunningTerminal, desired: Desired, signal: AbortSignal): Promise<RunningTerminal | null> {
    const { claims } = this.#options;
    try {
      // Before it has the name, so that a crash in between leaves a line that stands for nothing.
      if (!(await claims.begin(desired.key))) {
        await this.#options.containers.remove(warm.name, signal);
        return null;
      }
      const [renamed, healthy] = await Promise.all([
        this.#rename(warm, desired, signal),
        isHealthy(warm.address, signal),
      ]);
      return renamed ? await this.#check(warm, desired, healthy, signal) : null;
    } finally {
      claims.settled(desired.name);
    }
  }

  /** By its name: once it has another it can't be claimed again. @returns whether it was there, and the new name free */
  async #rename(warm: RunningTerminal, { name }: Desired, signal: AbortSignal): Promise<boolean> {
    const container = this.#options.docker.getContainer(warm.name);
    try {
      await engineCall(signal, (abortSignal) => container.rename({ name, abortSignal }));
      return true;
    } catch (error) {
      const status = statusOf(error);
      if (status !== 404 && status !== 409) throw error;
      return false;
    }
  }

  /** What does not answer was of no use to anybody yet, and is made anew. */
  async #check(
    warm: RunningTerminal,
    desired: Desired,
    healthy: boolean,
    signal: AbortSignal,
  ): Promise<RunningTerminal | null> {
    const { containers, log } = this.#options;
    const info = await containers.inspect(desired.name, signal);
    const actual = info && containers.observe(info);
    const same = actual?.phase === 'Running' && actual.startedAt === warm.startedAt;
    if (healthy && same && actual.apiKey === warm.apiKey) return { ...actual, address: warm.address };
    const { user, policy } = desired.key;
    log.warn({ terminal: desired.name, user, policy }, 'a terminal that was kept warm does not answer');
    if (info) await containers.remove(info.Id, signal);
    return null;
  }
}
