/**
 * Making a terminal's container, and what is done where its name is taken.
 * @module
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import type { Logger } from 'pino';
import { StartFailedError, StartTimeoutError } from '../../errors.ts';
import type { Desired, Mount, RunningTerminal } from '../../terminal/terminal.ts';
import type { Progress } from '../backend.ts';
import type { SecretFiles } from '../secret-files.ts';
import type { Baking } from './baking.ts';
import { containerOptions } from './container.ts';
import type { Containers } from './containers.ts';
import { engineCall, statusOf } from './engine.ts';
import type { Homes } from './homes.ts';
import type { Images } from './images.ts';
import { NetworkGoneError, type Networks } from './network.ts';
import { isOurs } from './observe.ts';
import { installs } from './recipe.ts';
import { refused, type Starts } from './starts.ts';

export interface CreationOptions {
  readonly docker: Docker;
  readonly containers: Containers;
  readonly starts: Starts;
  readonly homes: Homes;
  readonly images: Images;
  readonly networks: Networks;
  readonly baking: Baking;
  readonly secrets: SecretFiles;
  readonly publishHost: string;
  /** Mounted into every container. */
  readonly mounts: readonly Mount[];
  readonly log: Logger;
}

const createAttempts = 3;
const conflictPauseMs = 300;
/** What the removal of one that did not start may take, also at shutdown. */
const removeMs = 10_000;

export class Creation {
  readonly #options: CreationOptions;

  constructor(options: CreationOptions) {
    this.#options = options;
  }

  /** As the backend's `create`. */
  async create(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal> {
    const { containers, starts, networks } = this.#options;
    const log = this.#options.log.child({
      terminal: desired.name,
      user: desired.key.user,
      policy: desired.key.policy,
    });
    for (let attempt = 1; ; attempt += 1) {
      const id = await this.#createContainer(desired, progress, signal);
      if (id !== null) {
        try {
          return await starts.start(id, desired, signal);
        } catch (error) {
          await containers
            .remove(id, AbortSignal.timeout(removeMs))
            .catch((cause: unknown) =>
              log.warn({ err: cause }, 'a container that did not start could not be removed'),
            );
          // Removed from outside since we last made it; it is made anew.
          if (error instanceof NetworkGoneError && !networks.configured && attempt < createAttempts) continue;
          throw error;
        }
      }
      const adopted = await this.#resolveConflict(desired, signal);
      if (adopted) return adopted;
      if (attempt === createAttempts) {
        throw new StartFailedError(
          `The container name ${desired.name} is still taken after ${createAttempts} attempts.`,
          'Look at "docker ps -a" for what takes it.',
        );
      }
    }
  }

  /** @returns the id of the new container, or null where its name is taken */
  async #createContainer(desired: Desired, progress: Progress, signal: AbortSignal): Promise<string | null> {
    const { docker, homes, images, networks, baking, publishHost, mounts } = this.#options;
    const secrets = await this.#options.secrets.variables(desired);
    const network = await networks.of(desired.name, signal);
    const around = {
      secrets,
      home: desired.workload.persistent ? await homes.make(desired.key, signal) : null,
      network,
      publishHost: networks.configured ? null : publishHost,
      mounts,
      apiKey: randomBytes(32).toString('base64url'),
    };
    for (let attempt = 1; ; attempt += 1) {
      const baked = await this.#bakedImage(desired, progress, signal);
      const { name, ...body } = containerOptions(desired, { ...around, baked });
      try {
        // Told apart for dockerode, which else puts everything into the URL as well, the key included.
        const options = { _query: { name }, _body: body };
        const container = await engineCall(signal, (abortSignal) =>
          docker.createContainer({ ...options, abortSignal }),
        );
        return container.id;
      } catch (error) {
        if (statusOf(error) === 409) return null;
        // Nearly always the image is there: it is asked for only after the engine said that it is not.
        if (statusOf(error) === 404 && attempt === 1) {
          images.forget(desired.workload.image);
          baking.forget(desired.workload);
          await images.ensure(desired.workload.image, progress, signal);
          continue;
        }
        throw refused(desired, error);
      }
    }
  }

  /** Waits for one that is being baked as long as an install at the start may take. */
  async #bakedImage(desired: Desired, progress: Progress, signal: AbortSignal): Promise<string | null> {
    const { images, baking } = this.#options;
    const { workload, startTimeoutMs } = desired;
    if (!installs(workload)) return null;
    await images.ensure(workload.image, progress, signal);
    const limit = AbortSignal.timeout(startTimeoutMs);
    try {
      return await baking.image(workload, progress, AbortSignal.any([signal, limit]), 'go');
    } catch (error) {
      if (!limit.aborted || signal.aborted) throw error;
      throw new StartTimeoutError(
        `The packages of the policy are still being installed, after ${startTimeoutMs / 1000} seconds.`,
        'The install goes on, once for all; try again in a minute. The log of Terminals says how far it is.',
      );
    }
  }

  /** The name is taken: adopted where it is what is wanted, removed where it is ours, never touched where it is not. */
  async #resolveConflict(desired: Desired, signal: AbortSignal): Promise<RunningTerminal | null> {
    const { containers, starts } = this.#options;
    const info = await containers.inspectOf(desired.key, signal);
    if (info === null) {
      // A name is taken a moment before its container can be seen, and a moment longer than it can.
      await sleep(conflictPauseMs, undefined, { signal });
      return null;
    }
    if (!isOurs(info.Config.Labels ?? {})) {
      throw new StartFailedError(
        `There is a container ${desired.name} that Terminals did not make.`,
        `Rename or remove it: "docker rename ${desired.name} NEW-NAME".`,
      );
    }
    const actual = containers.observe(info);
    // Just created: by another replica that is about to start it, or by one that ended before it could.
    const startable = info.State.Running ? !info.State.Paused : info.State.Status === 'created';
    const fits = actual?.revision === desired.revision && startable;
    if (fits) return starts.start(info.Id, desired, signal);
    await containers.remove(info.Id, signal);
    return null;
  }
}
