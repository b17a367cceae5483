/**
 * Starting a container, and waiting until the terminal in it answers.
 * @module
 */
import type Docker from 'dockerode';
import type { ContainerInspectInfo } from 'dockerode';
import type { Logger } from 'pino';
import { EngineUnavailableError, StartFailedError, StartTimeoutError } from '../../errors.ts';
import { fingerprintOf } from '../../terminal/desired.ts';
import type { Address, Desired, RunningTerminal } from '../../terminal/terminal.ts';
import { waitHealthy } from '../health.ts';
import { secretsAmong } from '../masked.ts';
import type { Containers } from './containers.ts';
import { accepting, engineCall, reasonOf, unlimitedCall } from './engine.ts';
import { lastLines } from './logs.ts';
import { isNetworkGone, type Networks } from './network.ts';

export interface StartsOptions {
  readonly docker: Docker;
  readonly containers: Containers;
  readonly networks: Networks;
  readonly log: Logger;
}

export class Starts {
  readonly #options: StartsOptions;

  constructor(options: StartsOptions) {
    this.#options = options;
  }

  /**
   * Starts it where it does not run yet, and waits until it is healthy.
   * @throws StartTimeoutError, StartFailedError (NetworkGoneError where its network is not there), EngineUnavailableError
   */
  async start(id: string, desired: Desired, signal: AbortSignal): Promise<RunningTerminal> {
    const { docker, containers, networks } = this.#options;
    const container = docker.getContainer(id);
    try {
      await accepting(
        engineCall(signal, (abortSignal) => container.start({ abortSignal })),
        [304],
      );
    } catch (error) {
      if (!isNetworkGone(error)) throw refused(desired, error);
      throw await networks.missing(desired.name, signal);
    }
    const info = await containers.inspect(id, signal);
    if (info === null) throw refused(desired, new Error('the container vanished'));
    const address = await this.#untilHealthy(info, desired, signal);
    containers.answered(info, address);
    const actual = containers.observe(info);
    if (actual?.phase === 'Running') return { ...actual, address };
    throw refused(desired, new Error(`the container is ${info.State.Status}`));
  }

  async #untilHealthy(info: ContainerInspectInfo, desired: Desired, signal: AbortSignal): Promise<Address> {
    const { containers, log } = this.#options;
    const over = new AbortController();
    const either = AbortSignal.any([signal, over.signal]);
    const healthy = waitHealthy({
      candidates: containers.candidates(info),
      timeoutMs: desired.startTimeoutMs,
      signal: either,
    });
    try {
      return await Promise.race([healthy, this.#died(info, desired, either)]);
    } catch (error) {
      if (!(error instanceof StartTimeoutError)) throw error;
      containers.ranOutOfTime(info);
      const lines = await this.#lastLines(info, desired);
      log.warn({ terminal: desired.name, lines }, 'the terminal does not answer');
      throw new StartTimeoutError(error.message, error.hint, { lastLines: lines });
    } finally {
      over.abort();
      healthy.catch(() => undefined);
    }
  }

  /** Rejects as soon as the container ends, with the last lines of its log in ours. */
  async #died(info: ContainerInspectInfo, desired: Desired, signal: AbortSignal): Promise<never> {
    const { docker, log } = this.#options;
    const container = docker.getContainer(info.Id);
    const ended: { StatusCode: number } = await unlimitedCall(signal, (abortSignal) =>
      container.wait({ abortSignal }),
    );
    const exitCode = ended.StatusCode;
    const lines = await this.#lastLines(info, desired);
    log.warn({ terminal: desired.name, exitCode, lines }, 'the terminal ended while it started');
    throw new StartFailedError(
      `The terminal ended while it started, with exit code ${exitCode}${lines.length > 0 ? `: ${lines.at(-1)}` : ''}.`,
      'The last lines of its log are in the log of Terminals.',
      { lastLines: lines },
    );
  }

  /** What a container wrote, without the secrets that it was made with: of another revision it may have others. */
  #lastLines(info: ContainerInspectInfo, { workload }: Desired): Promise<readonly string[]> {
    const { docker, containers } = this.#options;
    const fingerprint = containers.observe(info)?.fingerprint ?? fingerprintOf(workload);
    return lastLines(docker, info.Id, secretsAmong(info.Config.Env ?? [], fingerprint));
  }
}

/** The engine would not create or start it. */
export function refused(desired: Desired, error: unknown): Error {
  if (error instanceof EngineUnavailableError || error instanceof StartFailedError) return error;
  return new StartFailedError(
    `Docker can't start ${desired.name}: ${reasonOf(error)}.`,
    `Check the policy "${desired.key.policy}": its image, mounts and limits.`,
    { cause: error },
  );
}
