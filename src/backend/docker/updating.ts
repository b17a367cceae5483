/**
 * Changing a terminal in place: its limits, and the network that somebody cut it from.
 * @module
 */
import type Docker from 'dockerode';
import type { ContainerInspectInfo } from 'dockerode';
import { StartFailedError } from '../../errors.ts';
import { limitChanges } from '../../terminal/changes.ts';
import type { Actual, Desired } from '../../terminal/terminal.ts';
import { limitsConfig } from './container.ts';
import type { Containers } from './containers.ts';
import { engineCall, reasonOf, statusOf } from './engine.ts';
import type { Networks } from './network.ts';

export interface UpdatingOptions {
  readonly docker: Docker;
  readonly containers: Containers;
  readonly networks: Networks;
}

/** What of a new memory limit is left free when it comes into force: use goes on while it is set. */
const freeShare = 0.05;
const waitsHint = 'A memory limit below what is in use waits until the terminal uses less.';

export class Updating {
  readonly #options: UpdatingOptions;

  constructor(options: UpdatingOptions) {
    this.#options = options;
  }

  /** As the backend's `update`. */
  async update(desired: Desired, signal: AbortSignal): Promise<Actual> {
    const { containers } = this.#options;
    const left = await this.#changeLimits(desired, signal);
    let info = await containers.inspectOf(desired.key, signal);
    const cut = info && containers.cutFrom(info);
    if (cut !== null) {
      await this.#reconnect(desired, cut, signal);
      info = await containers.inspectOf(desired.key, signal);
    }
    if (left !== null) throw left;
    const actual = info && containers.observe(info);
    if (actual) return actual;
    throw new StartFailedError(`The container ${desired.name} is gone.`, 'The next request makes it anew.');
  }

  /** @returns why the memory limit stays as it is, where the others alone were changed */
  async #changeLimits({ name, limits }: Desired, signal: AbortSignal): Promise<StartFailedError | null> {
    const { docker, containers } = this.#options;
    const wanted = limitsConfig(limits);
    const set = (config: Partial<typeof wanted>) =>
      engineCall(signal, (abortSignal) => docker.getContainer(name).update({ ...config, abortSignal }));
    try {
      const info = await containers.inspect(name, signal);
      const used = info && (await this.#usedAbove(info, wanted.Memory, signal));
      if (info === null || used === null) {
        await set(wanted);
        return null;
      }
      const { Memory, MemorySwap: _followsIt, ...others } = wanted;
      // Setting what is set already is an event as well, for which all would be tried again at once.
      const changes = limitChanges(containers.observe(info)?.limits ?? null, limits);
      if (changes.some(({ field }) => field !== 'resources.limits.memory')) await set(others);
      const message = `The memory limit of ${name} can't be lowered in place to ${mebibytes(Memory)}: it uses ${mebibytes(used)}.`;
      return new StartFailedError(message, waitsHint);
    } catch (error) {
      if (statusOf(error) === null) throw error;
      throw new StartFailedError(
        `The limits of ${name} can't be changed in place: ${reasonOf(error)}.`,
        waitsHint,
        { cause: error },
      );
    }
  }

  /**
   * What a running terminal uses of memory, where the limit is to be lowered below that: control groups of version 2 would
   * kill its processes rather than refuse it. Null: the limit can be set.
   */
  async #usedAbove(
    { Id, HostConfig, State }: ContainerInspectInfo,
    limitBytes: number,
    signal: AbortSignal,
  ): Promise<number | null> {
    const present = HostConfig.Memory || Number.POSITIVE_INFINITY;
    if (!State.Running || limitBytes >= present) return null;
    const { memory_stats: stats } = await engineCall(signal, (abortSignal) => {
      const asked = { stream: false as const, 'one-shot': true, abortSignal };
      return this.#options.docker.getContainer(Id).stats(asked);
    });
    const used = memoryUsed(stats);
    return used > limitBytes * (1 - freeShare) ? used : null;
  }

  /** Puts it back into the network that somebody cut it from. */
  async #reconnect({ name }: Desired, cut: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#options.networks.rejoin(name, cut, signal);
    } catch (error) {
      if (statusOf(error) === null) throw error;
      throw new StartFailedError(
        `${name} can't be put back into the network "${cut}": ${reasonOf(error)}.`,
        `Try "docker network connect ${cut} ${name}", or stop the terminal: the next start makes it anew.`,
        { cause: error },
      );
    }
  }
}

/** What the engine counts of memory; nothing where it has no controller for it. */
interface MemoryUse {
  readonly usage?: number;
  /** The files of the whole control group that nobody reads any more; the first only of version 1, which has both. */
  readonly stats?: { readonly total_inactive_file?: number; readonly inactive_file?: number };
}

/** What can't be had back without taking it from a process, in bytes. */
export function memoryUsed({ usage = 0, stats = {} }: MemoryUse): number {
  return usage - (stats.total_inactive_file ?? stats.inactive_file ?? 0);
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 ** 2)} MiB`;
}
