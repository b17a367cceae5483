/**
 * Terminals as Docker containers. Everything known about one is in its labels and its configuration.
 * @module
 */
import type { ContainerInspectInfo } from 'dockerode';
import type { Logger } from 'pino';
import { terminalName } from '../../terminal/names.ts';
import type {
  Actual,
  Desired,
  Mount,
  RunningTerminal,
  TerminalKey,
  UserId,
  Workload,
} from '../../terminal/terminal.ts';
import type { Backend, BackendListener, Progress } from '../backend.ts';
import { SecretFiles } from '../secret-files.ts';
import { Baking, type BakingOptions } from './baking.ts';
import { Claiming } from './claiming.ts';
import { Claims } from './claims.ts';
import { Docker } from './client.ts';
import { labels } from './container.ts';
import { Containers } from './containers.ts';
import { Creation } from './creation.ts';
import { accepting, engineCall, toldAsFault } from './engine.ts';
import { HeldLimits } from './held-limits.ts';
import { Homes } from './homes.ts';
import { Images } from './images.ts';
import { Listing } from './listing.ts';
import { NetworkGoneError, Networks } from './network.ts';
import { isOurs, networkCutFrom } from './observe.ts';
import { Starts } from './starts.ts';
import { Updating } from './updating.ts';

export interface DockerBackendOptions {
  /** Absolute path of the homes, as this process sees it. */
  readonly dataDir: string;
  /** TERMINALS_NETWORK; empty: our own network. */
  readonly networks: readonly string[];
  /** Address of published ports where no network is configured. */
  readonly publishHost: string;
  /** Mounted into every container. */
  readonly mounts: readonly Mount[];
  /** TERMINALS_SECRETS_DIR, absolute; null: there is none. */
  readonly secretsDir?: string | null;
  readonly log: Logger;
  readonly docker?: Docker;
  /** The network that is made where none is configured, where not as usual. */
  readonly ownNetwork?: string;
  /** How images with packages are kept, where not as usual. */
  readonly baking?: Pick<BakingOptions, 'keepUnusedMs' | 'retryMs'>;
}

const stopSeconds = 10;
/** By no engine. */
const neverEnforced = ['persistence.size', 'resources.requests', 'podTemplate'];

export class DockerBackend implements Backend {
  readonly kind = 'docker';
  readonly platform: Readonly<Record<string, string>>;
  readonly #docker: Docker;
  readonly #images: Images;
  readonly #held: HeldLimits;
  readonly #baking: Baking;
  readonly #claims: Claims;
  readonly #claiming: Claiming;
  readonly #containers: Containers;
  readonly #starts: Starts;
  readonly #homes: Homes;
  readonly #secrets: SecretFiles;
  readonly #creation: Creation;
  readonly #updating: Updating;
  readonly #listing: Listing;

  constructor({ dataDir, networks, publishHost, mounts, log, baking, ...options }: DockerBackendOptions) {
    const docker = options.docker ?? new Docker();
    const images = new Images(docker);
    const attached = new Networks(docker, networks, log, options.ownNetwork);
    const common = { docker, images, networks: attached, log };
    this.#docker = docker;
    this.#images = images;
    this.#baking = new Baking({ ...common, ...baking });
    this.#claims = new Claims(dataDir, log);
    const claims = this.#claims;
    this.#held = new HeldLimits(docker, log);
    const held = this.#held;
    this.#containers = new Containers({ docker, claims, publishHost, networks: attached, held });
    this.#claiming = new Claiming({ docker, claims, containers: this.#containers, log });
    this.#starts = new Starts({ ...common, containers: this.#containers });
    this.#homes = new Homes({ docker, images, dataDir });
    this.#secrets = new SecretFiles(options.secretsDir ?? null);
    this.#creation = new Creation({
      ...common,
      containers: this.#containers,
      starts: this.#starts,
      homes: this.#homes,
      baking: this.#baking,
      secrets: this.#secrets,
      publishHost,
      mounts,
    });
    this.#updating = new Updating({ docker, containers: this.#containers, networks: attached });
    this.#listing = new Listing({
      docker,
      claims,
      containers: this.#containers,
      inspect: (key, signal) => this.inspect(key, signal),
      log,
    });
    this.platform = platformOf(networks, mounts);
  }

  get unenforced(): readonly string[] {
    return [...neverEnforced, ...this.#held.missing];
  }

  // --- observing ----------------------------------------------------------

  list(signal: AbortSignal, user?: UserId): Promise<readonly Actual[]> {
    return this.#listing.list(signal, user);
  }

  async inspect(key: TerminalKey, signal: AbortSignal): Promise<Actual | undefined> {
    const info = await this.#containers.inspectOf(key, signal);
    return (info && (await this.#containers.observeClosely(info, signal))) ?? undefined;
  }

  watch(listener: BackendListener, signal: AbortSignal): void {
    this.#listing.watch(listener, signal);
  }

  // --- acting -------------------------------------------------------------

  prepare(workload: Workload, progress: Progress, signal: AbortSignal): Promise<void> {
    return toldAsFault(this.#prepare(workload, progress, signal));
  }

  async #prepare(workload: Workload, progress: Progress, signal: AbortSignal): Promise<void> {
    await this.#images.ensure(workload.image, progress, signal);
    await this.#baking.image(workload, progress, signal, 'wait');
  }

  collect(workloads: readonly Workload[], signal: AbortSignal): Promise<void> {
    return this.#baking.collect(workloads, signal);
  }

  trouble(workload: Workload): string | null {
    const missing = this.#secrets.trouble(workload);
    if (missing !== null) return missing;
    const reason = this.#baking.trouble(workload);
    return reason && `the packages can't be put into an image, so that every start installs them: ${reason}`;
  }

  create(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal> {
    return toldAsFault(this.#creation.create(desired, progress, signal));
  }

  claim(warm: RunningTerminal, desired: Desired, signal: AbortSignal): Promise<RunningTerminal | null> {
    return toldAsFault(this.#claiming.claim(warm, desired, signal));
  }

  start(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal> {
    return toldAsFault(this.#start(desired, progress, signal));
  }

  async #start(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal> {
    progress('starting');
    const info = await this.#containers.inspect(desired.name, signal);
    if (info === null) return this.create(desired, progress, signal);
    if (networkCutFrom(info) !== null || (await this.#hasOldSecrets(info, desired))) {
      // It would start without an address, or with what is no secret any more.
      await this.#containers.remove(info.Id, signal);
      return this.create(desired, progress, signal);
    }
    try {
      if (desired.workload.persistent) await this.#homes.make(desired.key, signal);
      return await this.#starts.start(info.Id, desired, signal);
    } catch (error) {
      if (!(error instanceof NetworkGoneError)) throw error;
      await this.#containers.remove(info.Id, signal);
      return this.create(desired, progress, signal);
    }
  }

  /** Whether a stopped one was made with other values of its secrets than they have now. */
  async #hasOldSecrets(info: ContainerInspectInfo, desired: Desired): Promise<boolean> {
    // Of another revision it may have other secrets, and is left as it is where the policy is suspended.
    if (info.State.Running || info.Config.Labels?.[labels.revision] !== desired.revision) return false;
    const environment = new Set(info.Config.Env ?? []);
    const now = Object.entries(await this.#secrets.variables(desired));
    return now.some(([name, value]) => !environment.has(`${name}=${value}`));
  }

  update(desired: Desired, signal: AbortSignal): Promise<Actual> {
    return toldAsFault(this.#updating.update(desired, signal));
  }

  stop(key: TerminalKey, signal: AbortSignal): Promise<void> {
    return this.#stop(key, stopSeconds, signal);
  }

  /** @param t seconds until what does not end by itself is ended */
  async #stop(key: TerminalKey, t: number, signal: AbortSignal): Promise<void> {
    const container = this.#docker.getContainer(terminalName(key));
    const ms = (t + 20) * 1000;
    const stopping = engineCall(signal, (abortSignal) => container.stop({ t, abortSignal }), ms);
    await toldAsFault(accepting(stopping, [304, 404]));
  }

  remove(key: TerminalKey, { files }: { readonly files: boolean }, signal: AbortSignal): Promise<void> {
    return toldAsFault(this.#remove(key, files, signal));
  }

  async #remove(key: TerminalKey, files: boolean, signal: AbortSignal): Promise<void> {
    const info = await this.#containers.inspect(terminalName(key), signal);
    const ours = info && isOurs(info.Config.Labels ?? {}) ? info : null;
    if (files) {
      // Only stopped at first, and at once: if the rest fails there is still something that is to be deleted.
      if (ours) await this.#stop(key, 0, signal);
      await this.#removeHome(key, info, signal);
    }
    if (ours) await this.#containers.remove(ours.Id, signal);
  }

  async #removeHome(key: TerminalKey, info: ContainerInspectInfo | null, signal: AbortSignal): Promise<void> {
    try {
      await this.#homes.remove(key);
    } catch (error) {
      // Its image has a shell, with which what was made as root goes too.
      if (info === null) throw error;
      await this.#homes.empty(key, [], info.Config.Image, signal);
    }
  }

  reset(desired: Desired, keep: readonly string[], signal: AbortSignal): Promise<void> {
    return toldAsFault(this.#reset(desired, keep, signal));
  }

  async #reset(
    { key, name, workload }: Desired,
    keep: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    // Only stopped at first: if the rest fails there is still something that is to be reset.
    const info = await this.#containers.inspect(name, signal);
    if (info && isOurs(info.Config.Labels ?? {})) await this.stop(key, signal);
    await this.#homes.empty(key, keep, workload.image, signal);
    await this.#remove(key, false, signal);
  }

  async close(): Promise<void> {
    await this.#baking.close();
    await this.#claims.saved();
    this.#containers.clear();
  }
}

/** What of the configuration belongs into a workload's revision. */
function platformOf(networks: readonly string[], mounts: readonly Mount[]): Readonly<Record<string, string>> {
  const extra = mounts.map(({ source, target, readOnly }) => `${source}:${target}${readOnly ? ':ro' : ''}`);
  return {
    ...(networks.length > 0 ? { networks: networks.join(',') } : {}),
    ...(extra.length > 0 ? { TERMINALS_DOCKER_MOUNTS: extra.join(' ') } : {}),
  };
}
