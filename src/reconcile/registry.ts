/**
 * Every terminal that is known or asked for, in memory: a cache of what the backend observes, and its use.
 * Nothing in here has to survive the process.
 * @module
 */

import { terminalName } from '../terminal/names.ts';
import type { Activity, Actual, RunningTerminal, TerminalKey, TerminalName } from '../terminal/terminal.ts';
import type { Order } from './actions.ts';

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

/** One terminal as this process knows it. */
export class Entry implements Activity {
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
  /** Failed tries in a row, for the backoff. */
  failures = 0;
  lastActivityAt: number;
  inFlight = 0;
  readonly waiters = new Set<Waiter>();
  /** What an administrator asked for and is still to be done. */
  readonly orders: PendingOrder[] = [];

  constructor(key: TerminalKey, name: TerminalName, now: number) {
    this.key = key;
    this.name = name;
    this.lastActivityAt = now;
  }

  /** A byte was proxied, either direction. */
  touch(): void {
    this.lastActivityAt = Date.now();
  }

  /** An HTTP request begins; `end` must follow. */
  begin(): void {
    this.inFlight += 1;
    this.touch();
  }

  end(): void {
    this.inFlight -= 1;
    this.touch();
  }
}

/** A header value holds no line feed, so that these parts can't run into each other. */
function lookupKey(key: TerminalKey): string {
  return `${key.policy}\n${key.context ?? ''}\n${key.user}`;
}

export class Registry {
  readonly #byKey = new Map<string, Entry>();
  readonly #byName = new Map<TerminalName, Entry>();

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
    return entry;
  }

  /** Forgets an entry that stands for nothing: no terminal, nobody waiting. */
  prune(entry: Entry): void {
    if (entry.actual !== undefined || entry.waiters.size > 0 || entry.inFlight > 0) return;
    // Another entry may have taken its place, and then it is that one's.
    if (entry.orders.length > 0 || this.#byName.get(entry.name) !== entry) return;
    this.#byKey.delete(lookupKey(entry.key));
    this.#byName.delete(entry.name);
  }

  all(): IterableIterator<Entry> {
    return this.#byName.values();
  }

  get size(): number {
    return this.#byName.size;
  }
}
