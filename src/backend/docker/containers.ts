/**
 * The containers as this process sees them: what each is, where it can be reached, and whether it was seen healthy.
 * @module
 */
import type Docker from 'dockerode';
import type { ContainerInspectInfo } from 'dockerode';
import { LRUCache } from 'lru-cache';
import { terminalName } from '../../terminal/names.ts';
import type { Actual, Address, TerminalKey } from '../../terminal/terminal.ts';
import { isHealthy, isRefused } from '../health.ts';
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

/** Of how many containers it is remembered whether they answered. */
const mostRemembered = 5_000;

/** What came of a container's start. */
interface Answer {
  readonly startedAt: number;
  /** False: it ran out of its time. */
  readonly answered: boolean;
}

export class Containers {
  readonly #docker: Docker;
  readonly #options: ContainersOptions;
  /** Of each container that we waited for or asked, by its id. */
  readonly #answers = new LRUCache<string, Answer>({ max: mostRemembered });
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
      if (statusOf(error) !== 404) throw faultOf(error);
      this.#answers.delete(nameOrId);
      return null;
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
      answered: (id, startedAt) => this.#answered(id, startedAt),
      now: Date.now(),
    });
  }

  /** The network that a container was cut from and would be made in today; null: there is none such. */
  cutFrom(info: ContainerInspectInfo): string | null {
    const made = networkCutFrom(info);
    return made !== null && this.#options.networks.has(nameOf(info), made) ? made : null;
  }

  /** As `observe`; one that was not seen to answer, or not in time, is asked whether it does by now. */
  async observeAsked(info: ContainerInspectInfo, signal: AbortSignal): Promise<Actual | null> {
    const actual = this.observe(info);
    const address = this.#bestAddress(addressesOf(info, this.#options.publishHost));
    const late = this.#answered(info.Id, startOf(info)) === false && !info.State.Paused;
    if (address === null || (actual?.phase !== 'Provisioning' && !late)) return actual;
    if (await isHealthy(address, signal)) this.#note(info, true);
    return this.observe(info);
  }

  /**
   * As `observe`; one that this process never saw answer, and where nobody listens, does not run yet: whether its start ran
   * out of its time was forgotten with the process before, and a start finds out.
   */
  async observeClosely(info: ContainerInspectInfo, signal: AbortSignal): Promise<Actual | null> {
    const actual = this.observe(info);
    if (actual?.phase !== 'Running' || this.#answered(info.Id, actual.startedAt)) return actual;
    if (!(await isRefused(actual.address, signal))) return actual;
    return { ...actual, phase: 'Provisioning', detail: 'nobody listens at its address' };
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
    this.#note(info, true);
  }

  /** It did not answer within the time that its start may take: it is broken until it does. */
  ranOutOfTime(info: ContainerInspectInfo): void {
    this.#note(info, false);
  }

  /** Removes a container, whether it runs or not; one that is not there is no error. */
  async remove(id: string, signal: AbortSignal): Promise<void> {
    const container = this.#docker.getContainer(id);
    try {
      await engineCall(signal, (abortSignal) => container.remove({ force: true, v: true, abortSignal }));
    } catch (error) {
      if (statusOf(error) === 409) {
        // It is being removed already; its name is free when that has ended.
        const ended = engineCall(signal, (abortSignal) =>
          container.wait({ condition: 'removed', abortSignal }),
        );
        await accepting(ended, [404]);
      } else if (statusOf(error) !== 404) throw faultOf(error);
    }
    // Not before: one that could not be removed is what it was.
    this.#answers.delete(id);
  }

  /** Forgets what it saw. */
  clear(): void {
    this.#answers.clear();
  }

  #answered(id: string, startedAt: number): boolean | null {
    const known = this.#answers.get(id);
    return known?.startedAt === startedAt ? known.answered : null;
  }

  #note(info: ContainerInspectInfo, answered: boolean): void {
    this.#answers.set(info.Id, { startedAt: startOf(info), answered });
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

function startOf({ State }: ContainerInspectInfo): number {
  return Date.parse(State.StartedAt);
}

function sameAddress(a: Address, b: Address | null): boolean {
  return b !== null && a.host === b.host && a.port === b.port;
}
