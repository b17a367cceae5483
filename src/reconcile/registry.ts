/**
 * Every terminal that is known or asked for, in memory: a cache of what the backend observes, and its use.
 * Nothing in here has to survive the process.
 * @module
 */

import { isNobody, terminalName } from '../terminal/names.ts';
import type {
  Activity,
  Actual,
  FieldChange,
  PolicyId,
  RunningTerminal,
  TerminalKey,
  TerminalName,
} from '../terminal/terminal.ts';
import type { Order } from './actions.ts';
import { UseCount } from './use-count.ts';

/** Somebody who waits for a terminal to run. */
export interface Waiter {
  resolve(terminal: RunningTerminal): void;
  reject(error: unknown): void;
}

/** An order, and who waits for it to be carried out. */
export interface PendingOrder {
  readonly order: Order;
  resolve(): void;
  reject(error: unknown): void;
}

/** What the backend does not hold, or somebody undid at once. */
export interface Unheld {
  readonly changes: readonly FieldChange[];
  /** How often in a row. */
  readonly tries: number;
  /** When it is tried again. Epoch milliseconds. */
  readonly until: number;
}

/** One terminal as this process knows it. */
export class Entry extends UseCount implements Activity {
  readonly key: TerminalKey;
  readonly name: TerminalName;
  actual: Actual | undefined;
  /** Whether `actual` is what the backend answered to us, or what we did ourselves, rather than what an event said. */
  observed = false;
  /** An event came in the middle of our own work, whose result may be older than it: the next look asks the backend. */
  stale = false;
  /** A connection to it failed: nobody else is sent there until it was looked at again. */
  suspected = false;
  /** When it was last recorded, as `Observations` counts. */
  recordedAt = 0;
  /** Epoch ms at which its difference from the policy was first seen. */
  driftedSince: number | null = null;
  /** What a start is busy with, for people. */
  progress: string | null = null;
  /** It ran until a new revision failed, and is to run again with the last good one, asked for or not. */
  restoring = false;
  /** What differed still after it was changed in place; null: nothing did. */
  unheld: Unheld | null = null;
  /** It is nobody's yet, and is to run all the same: a policy keeps it warm. */
  kept = false;
  /** It is nobody's, and is becoming somebody's right now: only whoever does that may touch it. */
  taken = false;
  /** Memory of the host that it has, as far as is known for sure; null: it does not run. */
  heldBytes: number | null = null;
  /** Memory of the host that is set aside for its start; null: it does not start. */
  reservedBytes: number | null = null;
  /** Its run is being ended to make room for another's; whatever else is to be done with it waits for that. */
  leaving: Promise<void> | null = null;
  /** Failed tries in a row, for the backoff. */
  failures = 0;
  lastActivityAt: number;
  readonly waiters = new Set<Waiter>();
  /** What an administrator asked for and is still to be done. */
  readonly orders: PendingOrder[] = [];

  constructor(key: TerminalKey, name: TerminalName, now: number) {
    super();
    this.key = key;
    this.name = name;
    this.lastActivityAt = now;
  }

  override touch(): void {
    this.lastActivityAt = Date.now();
  }
}

/** A header value holds no line feed, so that these parts can't run into each other. */
export function lookupKey(key: TerminalKey): string {
  return `${key.policy}\n${key.context ?? ''}\n${key.user}`;
}

const none: ReadonlySet<Entry> = new Set();

export class Registry {
  readonly #byKey = new Map<string, Entry>();
  readonly #byName = new Map<TerminalName, Entry>();
  readonly #nobodys = new Map<PolicyId, Set<Entry>>();

  find(key: TerminalKey): Entry | undefined {
    return this.#byKey.get(lookupKey(key));
  }

  get(name: TerminalName): Entry | undefined {
    return this.#byName.get(name);
  }

  /** The entry of a key, made if there is none. */
  entry(key: TerminalKey, now: number): Entry {
    const lookup = lookupKey(key);
    const known = this.#byKey.get(lookup);
    if (known) return known;
    const entry = new Entry(key, terminalName(key), now);
    this.#byKey.set(lookup, entry);
    this.#byName.set(entry.name, entry);
    if (isNobody(key.user)) {
      const others = this.#nobodys.get(key.policy) ?? new Set();
      this.#nobodys.set(key.policy, others.add(entry));
    }
    return entry;
  }

  /** Forgets an entry that stands for nothing: no terminal, nobody waiting. */
  prune(entry: Entry): void {
    if (entry.actual !== undefined || entry.waiters.size > 0 || entry.inFlight > 0) return;
    if (entry.orders.length > 0 || entry.kept || entry.taken || entry.heldBytes !== null) return;
    this.drop(entry);
  }

  /** Forgets an entry whatever it stands for. */
  drop(entry: Entry): void {
    // Another entry may have taken its place, and then it is that one's.
    if (this.#byName.get(entry.name) !== entry) return;
    const others = this.#nobodys.get(entry.key.policy);
    if (others?.delete(entry) && others.size === 0) this.#nobodys.delete(entry.key.policy);
    this.#byKey.delete(lookupKey(entry.key));
    this.#byName.delete(entry.name);
  }

  all(): IterableIterator<Entry> {
    return this.#byName.values();
  }

  /** Without those that are nobody's. */
  *users(): IterableIterator<Entry> {
    for (const entry of this.#byName.values()) if (!isNobody(entry.key.user)) yield entry;
  }

  /** Those of a policy that are nobody's. */
  nobodys(policy: PolicyId): ReadonlySet<Entry> {
    return this.#nobodys.get(policy) ?? none;
  }

  /** The policies that have such. */
  nobodysPolicies(): readonly PolicyId[] {
    return [...this.#nobodys.keys()];
  }

  get size(): number {
    return this.#byName.size;
  }
}
