/**
 * The primary's account of who may use which terminal, and does. It makes rule 5 hold over several processes: before a
 * terminal that runs is taken down its leases are recalled, and what workers did with it until then decides.
 * @module
 */
import type { Reached } from '../reconcile/reconciler.ts';
import { terminalName } from '../terminal/names.ts';
import type { RunningTerminal, TerminalKey, TerminalName } from '../terminal/terminal.ts';
import type { Grant, Use } from './protocol.ts';

/** A worker, as one who holds leases. */
export interface Holder {
  granted(grant: Grant): void;
  gone(lease: number): void;
  /** Resolves when all use of it until then has been told to `used`. @throws where it does not answer */
  recall(lease: number): Promise<void>;
}

interface Lease extends Grant {
  readonly use: Reached['use'];
  inFlight: number;
  sockets: number;
  /** How often it was granted; a recall counts only where it was not again meanwhile. */
  grants: number;
  /** Its worker asks again before it begins anything. */
  recalled: boolean;
}

export class Leases {
  readonly #byName = new Map<TerminalName, Map<Holder, Lease>>();
  readonly #byHolder = new Map<Holder, Map<number, Lease>>();
  readonly #recalling = new Map<TerminalName, Promise<void>>();
  #last = 0;

  /**
   * Gives a worker a terminal as soon as it runs, and while it does; nobody gets one whose leases are being recalled.
   * @throws what `reach` throws
   */
  async reach(holder: Holder, reach: () => Reached | Promise<Reached>, key: TerminalKey): Promise<void> {
    const name = terminalName(key);
    for (;;) {
      const recalling = this.#recalling.get(name);
      if (recalling !== undefined) {
        await recalling;
        continue;
      }
      const reached = reach();
      if (!(reached instanceof Promise)) return this.#grant(holder, key, reached);
      // By the time that this goes on it may be past.
      await reached;
    }
  }

  #grant(holder: Holder, key: TerminalKey, { terminal, use }: Reached): void {
    const known = this.#byName.get(terminal.name)?.get(holder);
    const lease = known ?? this.#make(holder, { key, terminal, use });
    lease.recalled = false;
    lease.grants += 1;
    holder.granted({ lease: lease.lease, key, terminal });
  }

  /** What a worker did; of a lease that is over it does not count. */
  used(holder: Holder, uses: readonly Use[]): void {
    for (const { lease, inFlight, sockets } of uses) {
      const known = this.#byHolder.get(holder)?.get(lease);
      if (known) account(known, inFlight, sockets);
    }
  }

  /** A worker could not connect: all ask again. @returns what it was granted; null: that is over */
  suspect(holder: Holder, lease: number): Grant | null {
    const known = this.#byHolder.get(holder)?.get(lease);
    if (known === undefined) return null;
    known.recalled = true;
    for (const [other, held] of this.#byName.get(known.terminal.name) ?? []) {
      if (other !== holder) void this.#recall(other, held);
    }
    return known;
  }

  /** That run of the terminal is over. */
  gone({ name }: RunningTerminal): void {
    for (const [holder, lease] of this.#byName.get(name) ?? []) {
      account(lease, 0, 0);
      this.#byHolder.get(holder)?.delete(lease.lease);
      holder.gone(lease.lease);
    }
    this.#byName.delete(name);
  }

  /** The worker ended, and with it all that it did. */
  left(holder: Holder): void {
    for (const lease of this.#byHolder.get(holder)?.values() ?? []) {
      account(lease, 0, 0);
      const { name } = lease.terminal;
      const others = this.#byName.get(name);
      others?.delete(holder);
      if (others?.size === 0) this.#byName.delete(name);
    }
    this.#byHolder.delete(holder);
  }

  /** Whether a worker may begin to use it without asking. */
  isHeld(name: TerminalName): boolean {
    for (const lease of this.#byName.get(name)?.values() ?? []) if (!lease.recalled) return true;
    return false;
  }

  /**
   * Resolves when all use of it is accounted for, and nobody begins to use it. Whoever waits for that decides at once: from
   * the next turn of the event loop on it is granted again, where it still runs.
   */
  async recall(name: TerminalName): Promise<void> {
    const over = Promise.withResolvers<void>();
    this.#recalling.set(name, over.promise);
    const leases = [...(this.#byName.get(name) ?? [])];
    await Promise.all(leases.map(([holder, lease]) => this.#recall(holder, lease)));
    setImmediate(() => {
      this.#recalling.delete(name);
      over.resolve();
    });
  }

  #make(holder: Holder, granted: Pick<Lease, 'key' | 'terminal' | 'use'>): Lease {
    this.#last += 1;
    const lease = { ...granted, lease: this.#last, inFlight: 0, sockets: 0, grants: 0, recalled: true };
    entryOf(this.#byName, granted.terminal.name).set(holder, lease);
    entryOf(this.#byHolder, holder).set(lease.lease, lease);
    return lease;
  }

  async #recall(holder: Holder, lease: Lease): Promise<void> {
    if (lease.recalled) return;
    const { grants } = lease;
    try {
      await holder.recall(lease.lease);
    } catch {
      // Who can't say that it does not use it is taken to.
      lease.use.touch();
    }
    if (lease.grants === grants) lease.recalled = true;
  }
}

function account(lease: Lease, inFlight: number, sockets: number): void {
  for (; lease.inFlight < inFlight; lease.inFlight += 1) lease.use.begin();
  for (; lease.inFlight > inFlight; lease.inFlight -= 1) lease.use.end();
  for (; lease.sockets < sockets; lease.sockets += 1) lease.use.join();
  for (; lease.sockets > sockets; lease.sockets -= 1) lease.use.part();
  lease.use.touch();
}

function entryOf<Key, Inner, Value>(map: Map<Key, Map<Inner, Value>>, key: Key): Map<Inner, Value> {
  const known = map.get(key);
  if (known) return known;
  const made = new Map<Inner, Value>();
  map.set(key, made);
  return made;
}
