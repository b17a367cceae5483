/**
 * A worker's terminals: those it holds a lease of are there at once, for the others it asks the primary.
 * @module
 */
import type { Terminals } from '../proxy/terminals.ts';
import type { Reached } from '../reconcile/reconciler.ts';
import { lookupKey } from '../reconcile/registry.ts';
import { UseCount } from '../reconcile/use-count.ts';
import type { RunningTerminal, TerminalKey } from '../terminal/terminal.ts';
import type { Channel } from './channel.ts';
import type { Grant, ToPrimary, ToWorker, Use } from './protocol.ts';

/** Use is told so often; what depends on it at once, such as a stop, recalls the lease. */
const tellMs = 1_000;

/** One run of a terminal, and what this worker does with it. */
class Lease extends UseCount implements Reached {
  readonly id: number;
  readonly lookup: string;
  readonly terminal: RunningTerminal;
  readonly use = this;
  readonly #used: Set<Lease>;
  over = false;

  constructor({ lease, key, terminal }: Grant, used: Set<Lease>) {
    super();
    this.id = lease;
    this.lookup = lookupKey(key);
    this.terminal = terminal;
    this.#used = used;
  }

  override touch(): void {
    if (!this.over) this.#used.add(this);
  }
}

export class LeasedTerminals implements Terminals {
  readonly #channel: Pick<Channel<ToPrimary, ToWorker>, 'ask' | 'tell'>;
  readonly #gone: (terminal: RunningTerminal) => void;
  /** Those that count at present. */
  readonly #current = new Map<string, Lease>();
  /** Recalled ones as well, which are still in use. */
  readonly #leases = new Map<number, Lease>();
  readonly #of = new WeakMap<RunningTerminal, Lease>();
  readonly #used = new Set<Lease>();
  readonly #timer: NodeJS.Timeout;

  /** @param gone told when a terminal is where it was no more */
  constructor(
    channel: Pick<Channel<ToPrimary, ToWorker>, 'ask' | 'tell'>,
    gone: (terminal: RunningTerminal) => void,
  ) {
    this.#channel = channel;
    this.#gone = gone;
    this.#timer = setInterval(() => this.tellUse(), tellMs).unref();
  }

  running(key: TerminalKey): Reached | null {
    return this.#current.get(lookupKey(key)) ?? null;
  }

  reach(key: TerminalKey, signal: AbortSignal): Reached | Promise<Reached> {
    return this.running(key) ?? this.#ask(key, signal);
  }

  suspect(_key: TerminalKey, seen: RunningTerminal): void {
    const lease = this.#of.get(seen);
    if (lease === undefined || lease.over) return;
    this.#withdraw(lease);
    this.#channel.tell('suspect', lease.id);
  }

  throwIfPaused(key: TerminalKey): Promise<void> {
    return this.#channel.ask('throwIfPaused', key);
  }

  /** The primary says that a terminal runs, here. */
  granted(grant: Grant): void {
    const lease = this.#leases.get(grant.lease) ?? new Lease(grant, this.#used);
    this.#leases.set(lease.id, lease);
    this.#of.set(lease.terminal, lease);
    this.#current.set(lease.lookup, lease);
  }

  /** The primary says that this run is over. */
  gone(id: number): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    this.#withdraw(lease);
    this.#leases.delete(id);
    this.#used.delete(lease);
    lease.over = true;
    this.#gone(lease.terminal);
  }

  /** The primary is about to decide what becomes of it. */
  recall(id: number): void {
    const lease = this.#leases.get(id);
    if (lease) this.#withdraw(lease);
    this.tellUse();
  }

  /** Says which terminals were used since it was said last. */
  tellUse(): void {
    if (this.#used.size === 0) return;
    const uses: Use[] = [...this.#used].map(({ id, inFlight, sockets }) => ({
      lease: id,
      inFlight,
      sockets,
    }));
    this.#used.clear();
    this.#channel.tell('used', uses);
  }

  close(): void {
    clearInterval(this.#timer);
    this.tellUse();
  }

  /** What was granted may be over by the time it is heard of. */
  async #ask(key: TerminalKey, signal: AbortSignal): Promise<Reached> {
    for (;;) {
      await this.#channel.ask('reach', key, signal);
      const running = this.running(key);
      if (running !== null) return running;
    }
  }

  #withdraw(lease: Lease): void {
    if (this.#current.get(lease.lookup) === lease) this.#current.delete(lease.lookup);
  }
}
