/**
 * Terminals as Docker containers. Everything known about one is in its labels and its configuration.
 * @module
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import Docker, { type ContainerInspectInfo } from 'dockerode';
import type { Logger } from 'pino';
import { EngineUnavailableError, StartFailedError, StartTimeoutError } from '../../errors.ts';
import { terminalName } from '../../terminal/names.ts';
import type {
  Actual,
  Address,
  Desired,
  Mount,
  RunningTerminal,
  TerminalKey,
  Workload,
} from '../../terminal/terminal.ts';
import type { Backend, BackendListener, Progress } from '../backend.ts';
import { isHealthy, waitHealthy } from '../health.ts';
import { homePath, makeHome, removeHome } from '../home.ts';
import { wipe, wipeHere } from '../wipe.ts';
import { Baking, type BakingOptions } from './baking.ts';
import { containerOptions, imageUser, limitsConfig, ours } from './container.ts';
import { accepting, engineCall, reasonOf, statusOf, unlimitedCall } from './engine.ts';
import { followEvents } from './events.ts';
import { Images } from './images.ts';
import { lastLines } from './logs.ts';
import { NetworkGoneError, Networks } from './network.ts';
import { type Addresses, addressesOf, keyOf, networkCutFrom, observe } from './observe.ts';
import { hostPaths } from './own-mounts.ts';
import { installs } from './recipe.ts';
import { wipeAsRoot } from './wipe-as-root.ts';

export interface DockerBackendOptions {
  /** Absolute path of the homes, as this process sees it. */
  readonly dataDir: string;
  /** TERMINALS_NETWORK; empty: our own network. */
  readonly networks: readonly string[];
  /** Address of published ports where no network is configured. */
  readonly publishHost: string;
  /** Mounted into every container. */
  readonly mounts: readonly Mount[];
  readonly log: Logger;
  readonly docker?: Docker;
  /** How images with packages are kept, where not as usual. */
  readonly baking?: Pick<BakingOptions, 'keepUnusedMs' | 'retryMs'>;
}

const createAttempts = 3;
const conflictPauseMs = 300;
const parallelInspects = 16;
const stopSeconds = 10;

export class DockerBackend implements Backend {
  readonly kind = 'docker';
  readonly unenforced: readonly string[] = ['persistence.size', 'resources.requests'];
  readonly platform: Readonly<Record<string, string>>;
  readonly #options: DockerBackendOptions;
  readonly #docker: Docker;
  readonly #log: Logger;
  readonly #images: Images;
  readonly #networks: Networks;
  readonly #baking: Baking;
  /** When each container we saw healthy had started, by its id. */
  readonly #healthy = new Map<string, number>();
  #hostPath: Promise<(file: string) => string> | null = null;
  /** Whether containers' own addresses can be reached from here; null: not tried yet. */
  #direct: boolean | null = null;

  constructor(options: DockerBackendOptions) {
    this.#options = options;
    this.#docker = options.docker ?? new Docker();
    this.#log = options.log;
    this.#images = new Images(this.#docker);
    this.#networks = new Networks(this.#docker, options.networks, options.log);
    const parts = { docker: this.#docker, images: this.#images, networks: this.#networks, log: options.log };
    this.#baking = new Baking({ ...parts, ...options.baking });
    const mounts = options.mounts.map(
      ({ source, target, readOnly }) => `${source}:${target}${readOnly ? ':ro' : ''}`,
    );
    this.platform = {
      ...(options.networks.length > 0 ? { networks: options.networks.join(',') } : {}),
      ...(mounts.length > 0 ? { TERMINALS_DOCKER_MOUNTS: mounts.join(' ') } : {}),
    };
  }

  // --- observing ----------------------------------------------------------

  /** @param seen told of each container */
  async list(signal: AbortSignal, seen?: (id: string, key: TerminalKey) => void): Promise<readonly Actual[]> {
    const listing = await engineCall(signal, (abortSignal) =>
      this.#docker.listContainers({ all: true, filters: { label: [ours] }, abortSignal }),
    );
    const ids = listing.map(({ Id }) => Id);
    const found: Actual[] = [];
    const inspectNext = async (): Promise<void> => {
      for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
        const info = await this.#inspectContainer(id, signal);
        const actual = info && (await this.#observeAsked(info, signal));
        if (!actual) continue;
        found.push(actual);
        seen?.(id, actual.key);
      }
    };
    await Promise.all(Array.from({ length: parallelInspects }, inspectNext));
    return found;
  }

  async inspect(key: TerminalKey, signal: AbortSignal): Promise<Actual | undefined> {
    const info = await this.#inspectContainer(terminalName(key), signal);
    return (info && this.#observe(info)) ?? undefined;
  }

  watch(listener: BackendListener, signal: AbortSignal): void {
    const looking = new Set<string>();
    const again = new Set<string>();
    /** Of our containers, since events of networks do not say whose theirs are. */
    const known = new Map<string, TerminalKey>();

    const look = async (id: string, key: TerminalKey): Promise<void> => {
      if (looking.has(id)) {
        again.add(id);
        return;
      }
      looking.add(id);
      try {
        const info = await this.#inspectContainer(id, signal);
        if (info === null) known.delete(id);
        // One that is gone, or was renamed, may have been replaced by now: what counts is what bears the name.
        listener.changed(key, (info && this.#observe(info)) ?? (await this.inspect(key, signal)));
      } catch (error) {
        if (!signal.aborted) this.#log.warn({ err: error }, 'a changed container could not be inspected');
      }
      looking.delete(id);
      if (again.delete(id)) await look(id, key);
    };

    void followEvents(
      this.#docker,
      {
        happened: (id, attributes) => {
          const key = keyOf(attributes);
          if (key === null) return;
          known.set(id, key);
          void look(id, key);
        },
        networkChanged: (id) => {
          const key = known.get(id);
          if (key) void look(id, key);
        },
        connected: async () => {
          known.clear();
          listener.relisted(await this.list(signal, (id, key) => known.set(id, key)));
        },
      },
      this.#log,
      signal,
    );
  }

  /** As `#observe`; one that started before this process could see it answer is asked whether it does. */
  async #observeAsked(info: ContainerInspectInfo, signal: AbortSignal): Promise<Actual | null> {
    const actual = this.#observe(info);
    const address = this.#bestAddress(addressesOf(info, this.#options.publishHost));
    if (actual?.phase !== 'Provisioning' || address === null) return actual;
    if (await isHealthy(address, signal)) this.#healthy.set(info.Id, Date.parse(info.State.StartedAt));
    return this.#observe(info);
  }

  #observe(info: ContainerInspectInfo): Actual | null {
    return observe(info, {
      address: (addresses) => this.#bestAddress(addresses),
      publishHost: this.#options.publishHost,
      wasHealthy: (id, startedAt) => this.#healthy.get(id) === startedAt,
      now: Date.now(),
    });
  }

  /** The container of a name or id; null where there is none. */
  async #inspectContainer(nameOrId: string, signal: AbortSignal): Promise<ContainerInspectInfo | null> {
    try {
      const container = this.#docker.getContainer(nameOrId);
      return await engineCall(signal, (abortSignal) => container.inspect({ abortSignal }));
    } catch (error) {
      if (statusOf(error) === 404) return null;
      throw error;
    }
  }

  // --- acting -------------------------------------------------------------

  async prepare(workload: Workload, progress: Progress, signal: AbortSignal): Promise<void> {
    await this.#images.ensure(workload.image, progress, signal);
    await this.#baking.image(workload, progress, signal, 'wait');
  }

  collect(workloads: readonly Workload[], signal: AbortSignal): Promise<void> {
    return this.#baking.collect(workloads, signal);
  }

  trouble(workload: Workload): string | null {
    const reason = this.#baking.trouble(workload);
    return reason && `the packages can't be put into an image, so that every start installs them: ${reason}`;
  }

  async create(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal> {
    const log = this.#log.child({
      terminal: desired.name,
      user: desired.key.user,
      policy: desired.key.policy,
    });
    for (let attempt = 1; ; attempt += 1) {
      const id = await this.#createContainer(desired, progress, signal);
      if (id !== null) {
        try {
          return await this.#startContainer(id, desired, signal);
        } catch (error) {
          await this.#removeContainer(id, AbortSignal.timeout(stopSeconds * 1000)).catch((cause: unknown) =>
            log.warn({ err: cause }, 'a container that did not start could not be removed'),
          );
          // Removed from outside since we last made it; it is made anew.
          if (error instanceof NetworkGoneError && !this.#networks.configured && attempt < createAttempts)
            continue;
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

  async start(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal> {
    progress('starting');
    const info = await this.#inspectContainer(desired.name, signal);
    if (info === null) return this.create(desired, progress, signal);
    if (networkCutFrom(info) !== null) {
      // It would start without an address.
      await this.#removeContainer(info.Id, signal);
      return this.create(desired, progress, signal);
    }
    try {
      if (desired.workload.persistent) await this.#makeHome(desired.key, signal);
      return await this.#startContainer(info.Id, desired, signal);
    } catch (error) {
      if (!(error instanceof NetworkGoneError)) throw error;
      await this.#removeContainer(info.Id, signal);
      return this.create(desired, progress, signal);
    }
  }

  async update(desired: Desired, signal: AbortSignal): Promise<Actual> {
    const container = this.#docker.getContainer(desired.name);
    try {
      const limits = limitsConfig(desired.limits);
      await engineCall(signal, (abortSignal) => container.update({ ...limits, abortSignal }));
    } catch (error) {
      if (statusOf(error) === null) throw error;
      throw new StartFailedError(
        `The limits of ${desired.name} can't be changed in place: ${reasonOf(error)}.`,
        'A memory limit below what is in use waits until the terminal uses less.',
        { cause: error },
      );
    }
    const actual = await this.inspect(desired.key, signal);
    if (actual) return actual;
    throw new StartFailedError(`The container ${desired.name} is gone.`, 'The next request makes it anew.');
  }

  async stop(key: TerminalKey, signal: AbortSignal): Promise<void> {
    const container = this.#docker.getContainer(terminalName(key));
    const ms = (stopSeconds + 20) * 1000;
    const stopping = engineCall(signal, (abortSignal) => container.stop({ t: stopSeconds, abortSignal }), ms);
    await accepting(stopping, [304, 404]);
  }

  async remove(key: TerminalKey, { files }: { readonly files: boolean }, signal: AbortSignal): Promise<void> {
    const info = await this.#inspectContainer(terminalName(key), signal);
    if (info && keyOf(info.Config.Labels ?? {})) await this.#removeContainer(info.Id, signal);
    if (!files) return;
    try {
      await removeHome(this.#options.dataDir, key);
    } catch (error) {
      // Its image has a shell, with which what was made as root goes too.
      if (info === null) throw error;
      await this.#empty(key, [], info.Config.Image, signal);
    }
  }

  async reset({ key, name, workload }: Desired, keep: readonly string[], signal: AbortSignal): Promise<void> {
    // Only stopped at first: if the rest fails there is still something that is to be reset.
    const info = await this.#inspectContainer(name, signal);
    if (info && keyOf(info.Config.Labels ?? {})) await this.stop(key, signal);
    await this.#empty(key, keep, workload.image, signal);
    await this.remove(key, { files: false }, signal);
  }

  async close(): Promise<void> {
    await this.#baking.close();
    this.#healthy.clear();
  }

  // --- one container ------------------------------------------------------

  /** @returns the id of the new container, or null where its name is taken */
  async #createContainer(desired: Desired, progress: Progress, signal: AbortSignal): Promise<string | null> {
    const network = await this.#networks.of(desired.name, signal);
    const around = {
      home: desired.workload.persistent ? await this.#makeHome(desired.key, signal) : null,
      network,
      publishHost: this.#networks.configured ? null : this.#options.publishHost,
      mounts: this.#options.mounts,
      apiKey: randomBytes(32).toString('base64url'),
    };
    for (let attempt = 1; ; attempt += 1) {
      const baked = await this.#bakedImage(desired, progress, signal);
      const { name, ...body } = containerOptions(desired, { ...around, baked });
      try {
        // Told apart for dockerode, which else puts everything into the URL as well, the key included.
        const options = { _query: { name }, _body: body };
        const container = await engineCall(signal, (abortSignal) =>
          this.#docker.createContainer({ ...options, abortSignal }),
        );
        return container.id;
      } catch (error) {
        if (statusOf(error) === 409) return null;
        // Nearly always the image is there: it is asked for only after the engine said that it is not.
        if (statusOf(error) === 404 && attempt === 1) {
          this.#images.forget(desired.workload.image);
          this.#baking.forget(desired.workload);
          await this.#images.ensure(desired.workload.image, progress, signal);
          continue;
        }
        throw refused(desired, error);
      }
    }
  }

  /** Waits for one that is being baked as long as an install at the start may take. */
  async #bakedImage(desired: Desired, progress: Progress, signal: AbortSignal): Promise<string | null> {
    const { workload, startTimeoutMs } = desired;
    if (!installs(workload)) return null;
    await this.#images.ensure(workload.image, progress, signal);
    const limit = AbortSignal.timeout(startTimeoutMs);
    try {
      return await this.#baking.image(workload, progress, AbortSignal.any([signal, limit]), 'go');
    } catch (error) {
      if (!limit.aborted || signal.aborted) throw error;
      throw new StartTimeoutError(
        `The packages of the policy are still being installed, after ${startTimeoutMs / 1000} seconds.`,
        'The install goes on, once for all; try again in a minute. The log of Terminals says how far it is.',
      );
    }
  }

  async #makeHome(key: TerminalKey, signal: AbortSignal): Promise<string> {
    const translate = await this.#hostPaths(signal);
    return translate(await makeHome(this.#options.dataDir, key, imageUser));
  }

  /** @param image has a shell; it is needed only where what root made is not ours to remove */
  async #empty(key: TerminalKey, keep: readonly string[], image: string, signal: AbortSignal): Promise<void> {
    const home = homePath(this.#options.dataDir, key);
    const asRoot = wipeAsRoot(this.#docker, {
      name: terminalName(key),
      hostHome: async () => (await this.#hostPaths(signal))(home),
      image: async () => {
        await this.#images.ensure(image, () => undefined, signal);
        return image;
      },
    });
    await wipe(home, keep, [wipeHere(home), asRoot], signal);
  }

  async #hostPaths(signal: AbortSignal): Promise<(file: string) => string> {
    this.#hostPath ??= hostPaths(this.#docker, this.#options.dataDir, signal);
    try {
      return await this.#hostPath;
    } catch (error) {
      this.#hostPath = null;
      throw error;
    }
  }

  /** Starts it where it does not run yet, and waits until it is healthy. */
  async #startContainer(id: string, desired: Desired, signal: AbortSignal): Promise<RunningTerminal> {
    const container = this.#docker.getContainer(id);
    try {
      await accepting(
        engineCall(signal, (abortSignal) => container.start({ abortSignal })),
        [304],
      );
    } catch (error) {
      if (statusOf(error) !== 404 || !/network/i.test(reasonOf(error))) throw refused(desired, error);
      throw await this.#networks.missing(desired.name, signal);
    }
    const info = await this.#inspectContainer(id, signal);
    if (info === null) throw refused(desired, new Error('the container vanished'));
    const address = await this.#untilHealthy(id, info, desired, signal);
    this.#healthy.set(id, Date.parse(info.State.StartedAt));
    const actual = this.#observe(info);
    if (actual?.phase === 'Running') return { ...actual, address };
    throw refused(desired, new Error(`the container is ${info.State.Status}`));
  }

  async #untilHealthy(
    id: string,
    info: ContainerInspectInfo,
    desired: Desired,
    signal: AbortSignal,
  ): Promise<Address> {
    const over = new AbortController();
    const either = AbortSignal.any([signal, over.signal]);
    const addresses = addressesOf(info, this.#options.publishHost);
    const healthy = waitHealthy({
      candidates: this.#candidates(addresses),
      timeoutMs: desired.startTimeoutMs,
      signal: either,
    });
    try {
      const address = await Promise.race([healthy, this.#died(id, desired, either)]);
      this.#direct ??= sameAddress(address, addresses.direct);
      return address;
    } catch (error) {
      if (error instanceof StartTimeoutError) {
        this.#log.warn(
          { terminal: desired.name, lines: await lastLines(this.#docker, id) },
          'the terminal does not answer',
        );
      }
      throw error;
    } finally {
      over.abort();
      healthy.catch(() => undefined);
    }
  }

  /** Rejects as soon as the container ends, with the last lines of its log in ours. */
  async #died(id: string, desired: Desired, signal: AbortSignal): Promise<never> {
    const container = this.#docker.getContainer(id);
    const ended: { StatusCode: number } = await unlimitedCall(signal, (abortSignal) =>
      container.wait({ abortSignal }),
    );
    const exitCode = ended.StatusCode;
    const lines = await lastLines(this.#docker, id);
    this.#log.warn({ terminal: desired.name, exitCode, lines }, 'the terminal ended while it started');
    throw new StartFailedError(
      `The terminal ended while it started, with exit code ${exitCode}${lines.length > 0 ? `: ${lines.at(-1)}` : ''}.`,
      'The last lines of its log are in the log of Terminals.',
    );
  }

  /** The name is taken: adopted where it is what is wanted, removed where it is ours, never touched where it is not. */
  async #resolveConflict(desired: Desired, signal: AbortSignal): Promise<RunningTerminal | null> {
    const info = await this.#inspectContainer(desired.name, signal);
    if (info === null) {
      // A name is taken a moment before its container can be seen, and a moment longer than it can.
      await sleep(conflictPauseMs, undefined, { signal });
      return null;
    }
    if (keyOf(info.Config.Labels ?? {}) === null) {
      throw new StartFailedError(
        `There is a container ${desired.name} that Terminals did not make.`,
        `Rename or remove it: "docker rename ${desired.name} NEW-NAME".`,
      );
    }
    const actual = this.#observe(info);
    // Just created: by another replica that is about to start it, or by one that ended before it could.
    const starts = info.State.Running ? !info.State.Paused : info.State.Status === 'created';
    const fits = actual?.revision === desired.revision && starts;
    if (fits) return this.#startContainer(info.Id, desired, signal);
    await this.#removeContainer(info.Id, signal);
    return null;
  }

  async #removeContainer(id: string, signal: AbortSignal): Promise<void> {
    this.#healthy.delete(id);
    const container = this.#docker.getContainer(id);
    try {
      await engineCall(signal, (abortSignal) => container.remove({ force: true, v: true, abortSignal }));
    } catch (error) {
      if (statusOf(error) === 404) return;
      if (statusOf(error) !== 409) throw error;
      // It is being removed already; its name is free when that has ended.
      const ended = engineCall(signal, (abortSignal) =>
        container.wait({ condition: 'removed', abortSignal }),
      );
      await accepting(ended, [404]);
    }
  }

  // --- addresses ----------------------------------------------------------

  /** A container's own address is more than twice as fast as its published port, where it can be reached. */
  #bestAddress({ direct, named, published }: Addresses): Address | null {
    return this.#direct === false ? (named ?? published ?? direct) : (direct ?? published);
  }

  #candidates({ direct, named, published }: Addresses): readonly Address[] {
    const other = this.#networks.configured ? named : published;
    const known = this.#direct === null ? [direct, other] : this.#direct ? [direct] : [other ?? direct];
    return known.filter((address) => address !== null);
  }
}

function sameAddress(a: Address, b: Address | null): boolean {
  return b !== null && a.host === b.host && a.port === b.port;
}

/** The engine would not create or start it. */
function refused(desired: Desired, error: unknown): Error {
  if (error instanceof EngineUnavailableError || error instanceof StartFailedError) return error;
  return new StartFailedError(
    `Docker can't start ${desired.name}: ${reasonOf(error)}.`,
    `Check the policy "${desired.key.policy}": its image, mounts and limits.`,
    { cause: error },
  );
}
