/**
 * The containers as this process sees them: what each is, where it can be reached, and whether it was seen healthy.
 * @module
 */
import type Docker from 'dockerode';
import type { ContainerInspectInfo } from 'dockerode';
import { terminalName } from '../../terminal/names.ts';
import type { Actual, Address, TerminalKey } from '../../terminal/terminal.ts';
import { isHealthy } from '../health.ts';
import type { Claims } from './claims.ts';
import { accepting, engineCall, faultOf, statusOf } from './engine.ts';
import type { HeldLimits } from './held-limits.ts';
import type { Networks } from './network.ts';
import { type Addresses, addressesOf, nameOf, networkCutFrom, observe } from './observe.ts';

export interface ContainersOptions {
  readonly docker: Docker;
  /** Whose those are that were made for nobody. */
  readonly claims: Claims;
  /** Address of published ports where no network is configured. */
  readonly publishHost: string;
  /** In those of the operator's choice nothing is published, and terminals have names. */
  readonly networks: Pick<Networks, 'configured' | 'has'>;
  /** Which limits the engine holds. */
  readonly held: Pick<HeldLimits, 'known' | 'holds'>;
}

export class Containers {
  readonly #docker: Docker;
  readonly #options: ContainersOptions;
  /** When each container we saw healthy had started, by its id. */
  readonly #healthy = new Map<string, number>();
  /** Whether containers' own addresses can be reached from here; null: not tried yet. */
  #direct: boolean | null = null;

  constructor(options: ContainersOptions) {
    this.#docker = options.docker;
    this.#options = options;
  }

  /** The container of a name or id; null where there is none. */
  async inspect(nameOrId: string, signal: AbortSignal): Promise<ContainerInspectInfo | null> {
    try {
      const container = this.#docker.getContainer(nameOrId);
      const info = await engineCall(signal, (abortSignal) => container.inspect({ abortSignal }));
      await this.#options.held.known();
      return info;
    } catch (error) {
      if (statusOf(error) === 404) return null;
      throw faultOf(error);
    }
  }

  /**
   * As `inspect`, of the container that bears a key's name: one that was made for nobody and whose name can't be read back is
   * known from now on to be this key's.
   */
  async inspectOf(key: TerminalKey, signal: AbortSignal): Promise<ContainerInspectInfo | null> {
    const info = await this.inspect(terminalName(key), signal);
    if (info) await this.#options.claims.recognise(info.Config.Labels ?? {}, key);
    return info;
  }

  /** The terminal that a container is; null: it is none of ours. */
  observe(info: ContainerInspectInfo): Actual | null {
    return observe(info, {
      keyOf: (labels, name) => this.#options.claims.keyOf(labels, name),
      address: (addresses) => this.#bestAddress(addresses),
      publishHost: this.#options.publishHost,
      cutFrom: (container) => this.cutFrom(container),
      holds: (limit) => this.#options.held.holds(limit),
      wasHealthy: (id, startedAt) => this.#healthy.get(id) === startedAt,
      now: Date.now(),
    });
  }

  /** The network that a container was cut from and would be made in today; null: there is none such. */
  cutFrom(info: ContainerInspectInfo): string | null {
    const made = networkCutFrom(info);
    return made !== null && this.#options.networks.has(nameOf(info), made) ? made : null;
  }

  /** As `observe`; one that started before this process could see it answer is asked whether it does. */
  async observeAsked(info: ContainerInspectInfo, signal: AbortSignal): Promise<Actual | null> {
    const actual = this.observe(info);
    const address = this.#bestAddress(addressesOf(info, this.#options.publishHost));
    if (actual?.phase !== 'Provisioning' || address === null) return actual;
    if (await isHealthy(address, signal)) this.#sawHealthy(info);
    return this.observe(info);
  }

  /** Where a container that has just started may answer, the best first. */
  candidates(info: ContainerInspectInfo): readonly Address[] {
    const addresses = addressesOf(info, this.#options.publishHost);
    const { direct } = addresses;
    const other = this.#indirect(addresses);
    const known = this.#direct === null ? [direct, other] : this.#direct ? [direct] : [other ?? direct];
    return known.filter((address) => address !== null);
  }

  /** It answered at this address since it started. */
  answered(info: ContainerInspectInfo, address: Address): void {
    this.#direct ??= sameAddress(address, addressesOf(info, this.#options.publishHost).direct);
    this.#sawHealthy(info);
  }

  /** Removes a container, whether it runs or not; one that is not there is no error. */
  async remove(id: string, signal: AbortSignal): Promise<void> {
    this.#healthy.delete(id);
    const container = this.#docker.getContainer(id);
    try {
      await engineCall(signal, (abortSignal) => container.remove({ force: true, v: true, abortSignal }));
    } catch (error) {
      if (statusOf(error) === 404) return;
      if (statusOf(error) !== 409) throw faultOf(error);
      // It is being removed already; its name is free when that has ended.
      const ended = engineCall(signal, (abortSignal) =>
        container.wait({ condition: 'removed', abortSignal }),
      );
      await accepting(ended, [404]);
    }
  }

  /** Forgets what it saw. */
  clear(): void {
    this.#healthy.clear();
  }

  #sawHealthy({ Id, State }: ContainerInspectInfo): void {
    this.#healthy.set(Id, Date.parse(State.StartedAt));
  }

  /** A container's own address is more than twice as fast as its published port, where it can be reached. */
  #bestAddress(addresses: Addresses): Address | null {
    const { direct } = addresses;
    const other = this.#indirect(addresses);
    return this.#direct === false ? (other ?? direct) : (direct ?? other);
  }

  #indirect({ named, published }: Addresses): Address | null {
    return this.#options.networks.configured ? named : published;
  }
}

function sameAddress(a: Address, b: Address | null): boolean {
  return b !== null && a.host === b.host && a.port === b.port;
}
