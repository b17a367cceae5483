/**
 * The network that terminals are attached to.
 * @module
 */
import { createHash } from 'node:crypto';
import type Docker from 'dockerode';
import type { Logger } from 'pino';
import { StartFailedError } from '../../errors.ts';
import type { TerminalName } from '../../terminal/terminal.ts';
import { labels, managedBy } from './container.ts';
import { engineCall, faultOf, reasonOf, statusOf } from './engine.ts';

/** The network we make where none is configured: its terminals can't reach each other's ports. */
export const ownNetwork = 'terminals';

/** Of the engine, for what names none. */
export const defaultBridge = 'bridge';

/** Whether containers of a bridge reach each other. */
const iccOption = 'com.docker.network.bridge.enable_icc';

/** What the engine says, as a fault of its own, where the kernel can't keep containers of a bridge apart: it stays so. */
const lacksFilter = /inter-container communication|br_netfilter/i;

/** The network of a container is not there, or was made anew since: the container itself can't start any more. */
export class NetworkGoneError extends StartFailedError {}

/** Whether the engine refused a call for want of a network. */
export function isNetworkGone(error: unknown): boolean {
  return statusOf(error) === 404 && /network/i.test(reasonOf(error));
}

export class Networks {
  readonly #docker: Docker;
  readonly #configured: readonly string[];
  readonly #log: Logger;
  readonly #ownName: string;
  #own: Promise<string | null> | null = null;
  #warned = false;

  /** @param own the name of our own */
  constructor(docker: Docker, configured: readonly string[], log: Logger, own = ownNetwork) {
    this.#docker = docker;
    this.#ownName = own;
    this.#configured = configured;
    this.#log = log;
  }

  /** Terminals are in networks of the operator's choice, which Terminals itself must be in as well. */
  get configured(): boolean {
    return this.#configured.length > 0;
  }

  /**
   * The network of one terminal: always the same of those configured (one bridge holds about a thousand), else our own;
   * null where the engine refuses to make that, for its default bridge: the next terminal asks again.
   * @throws EngineUnavailableError
   */
  async of(name: string, signal: AbortSignal): Promise<string | null> {
    if (this.configured) return this.#configuredOf(name);
    this.#own ??= this.#ensureOwn(signal);
    try {
      const own = await this.#own;
      if (own === null) this.#own = null;
      return own;
    } catch (error) {
      this.#own = null;
      throw faultOf(error);
    }
  }

  /** Whether this is the network of that terminal; of those that are not configured, also where our own can't be made. */
  has(name: string, network: string): boolean {
    if (this.configured) return this.#configuredOf(name) === network;
    return network === this.#ownName || network === defaultBridge;
  }

  /**
   * Puts a running terminal back into its network, which is made anew where it is our own and gone.
   * @throws NetworkGoneError
   */
  async rejoin(name: TerminalName, network: string, signal: AbortSignal): Promise<void> {
    const connect = () =>
      engineCall(signal, () => this.#docker.getNetwork(network).connect({ Container: name }));
    try {
      await connect();
    } catch (error) {
      if (!isNetworkGone(error)) throw error;
      const gone = await this.missing(name, signal);
      if (this.configured) throw gone;
      await this.of(name, signal);
      await connect();
    }
  }

  /** The engine said that a terminal's network is not there: our own is made anew next time. */
  async missing(name: TerminalName, signal: AbortSignal): Promise<NetworkGoneError> {
    const network = await this.of(name, signal);
    this.#own = null;
    return new NetworkGoneError(
      `There is no Docker network "${network}".`,
      this.configured
        ? `Make it with "docker network create ${network}", or change TERMINALS_NETWORK.`
        : 'It was removed while the terminal started; try again.',
    );
  }

  #configuredOf(name: string): string | null {
    const hash = createHash('sha256').update(name).digest().readUInt32BE(0);
    return this.#configured[hash % this.#configured.length] ?? null;
  }

  async #ensureOwn(signal: AbortSignal): Promise<string | null> {
    try {
      const found = await engineCall(signal, () => this.#docker.getNetwork(this.#ownName).inspect());
      this.#checkOwn(found);
      return this.#ownName;
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
    }
    try {
      await engineCall(signal, (abortSignal) =>
        this.#docker.createNetwork({
          Name: this.#ownName,
          Driver: 'bridge',
          CheckDuplicate: true,
          Labels: { [labels.managedBy]: managedBy },
          Options: { [iccOption]: 'false' },
          abortSignal,
        }),
      );
      return this.#ownName;
    } catch (error) {
      const status = statusOf(error);
      if (status === 409) return this.#ownName;
      if (status === null || (status >= 500 && !lacksFilter.test(reasonOf(error)))) throw error;
      this.#sayRefused(error);
      return null;
    }
  }

  #sayRefused(error: unknown): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#log.warn(
      { reason: reasonOf(error) },
      `the network "${this.#ownName}" can't be made: terminals are on the default bridge, where they can reach each other's open ports`,
    );
  }

  /** One of that name may have been made by somebody else, and otherwise. */
  #checkOwn({ Options: options }: { readonly Options?: Readonly<Record<string, string>> | undefined }): void {
    if (options?.[iccOption] === 'false') return;
    this.#log.warn(
      `the network "${this.#ownName}" was not made by Terminals: its terminals can reach each other's open ports; remove it, and it is made anew`,
    );
  }
}
