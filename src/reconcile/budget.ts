/**
 * What the host has room for. Whoever starts takes their room before it begins, in one step with looking whether it is there,
 * so that however many come at once there is never more than the host's budget.
 * @module
 */
import { OverBudgetError } from '../errors.ts';
import { isNobody } from '../terminal/names.ts';
import type { Actual, Template } from '../terminal/terminal.ts';
import type { Entry, Registry } from './registry.ts';

/** null: as many or as much as there may be. */
export interface HostLimits {
  readonly terminals: number | null;
  /** Of the memory limits of all terminals that run. */
  readonly memoryBytes: number | null;
}

export interface BudgetOptions {
  readonly limits: HostLimits;
  readonly registry: Pick<Registry, 'all' | 'get'>;
  /** What a terminal should be; undefined: its policy is gone. */
  readonly declared: (entry: Entry) => Template | undefined;
  /** It is being worked on right now. */
  readonly busy: (entry: Entry) => boolean;
  /** Ends a terminal's run, and resolves when its room is free. */
  readonly vacate: (entry: Entry) => Promise<void>;
  readonly now?: () => number;
}

/** Some of what there is, or is too little: terminals, and bytes of memory. */
export interface Room {
  readonly terminals: number;
  readonly memoryBytes: number;
}

/** Where a policy is gone, what its terminals are quiet for until they count as idle. */
const orphanIdleMs = 5 * 60_000;

export class Budget {
  readonly #options: BudgetOptions;
  /** Those that start, which need not be in the registry. */
  readonly #guests = new Set<Entry>();
  readonly #now: () => number;

  constructor(options: BudgetOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  get limited(): boolean {
    const { terminals, memoryBytes } = this.#options.limits;
    return terminals !== null || memoryBytes !== null;
  }

  /** What is left; negative where there is more than there may be. */
  get left(): Room {
    const all = Number.POSITIVE_INFINITY;
    return this.limited ? this.#leftBeside(null, false) : { terminals: all, memoryBytes: all };
  }

  /**
   * Takes the room for a start; what is returned must be called when the terminal runs, or does not come to run.
   * @param asked somebody waits for it: to make room, those go that are nobody's, then the ones longest idle
   * @throws OverBudgetError
   */
  async admit(entry: Entry, memoryBytes: number, asked: boolean): Promise<() => void> {
    if (!this.limited) return () => undefined;
    const held = this.#held(entry);
    const lacks = held === null || held < memoryBytes;
    // Nothing is awaited from here to where the room is taken.
    if (lacks) this.#makeRoom(entry, memoryBytes, asked);
    entry.reservedBytes = memoryBytes;
    this.#guests.add(entry);
    const leave = () => {
      entry.reservedBytes = null;
      this.#guests.delete(entry);
    };
    try {
      // Only who is asked for counts on room that others are about to leave, so that these never wait in turn.
      if (lacks && asked) await Promise.all(Array.from(this.#all(), ({ leaving }) => leaving));
      return leave;
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** @throws OverBudgetError where too few can go; then none does */
  #makeRoom(entry: Entry, bytes: number, asked: boolean): void {
    const left = this.#leftBeside(entry, asked);
    let terminals = 1 - left.terminals;
    let memoryBytes = bytes - left.memoryBytes;
    const leaving: Entry[] = [];
    for (const candidate of asked ? this.#candidates(entry) : []) {
      if (terminals <= 0 && memoryBytes <= 0) break;
      leaving.push(candidate);
      terminals -= 1;
      memoryBytes -= this.#held(candidate) ?? 0;
    }
    if (terminals > 0 || memoryBytes > 0) throw this.#refusal(terminals > 0, entry);
    for (const one of leaving) this.#send(one);
  }

  #send(entry: Entry): void {
    const gone = this.#options.vacate(entry).finally(() => {
      entry.leaving = null;
    });
    // Whoever needs the room hears of a failure; there may be none left who does.
    gone.catch(() => undefined);
    entry.leaving = gone;
  }

  /** In the order in which they go. */
  #candidates(asking: Entry): readonly Entry[] {
    const { busy } = this.#options;
    const there = [...this.#all()].filter(
      (entry) => entry !== asking && entry.leaving === null && this.#held(entry) !== null,
    );
    const nobodys = there.filter(({ key }) => isNobody(key.user));
    const idle = there.filter((entry) => this.#isIdle(entry));
    return [
      ...nobodys.filter((entry) => !busy(entry)),
      ...nobodys.filter(busy),
      ...idle.sort((a, b) => a.lastActivityAt - b.lastActivityAt),
    ];
  }

  /** A user's work is never ended for another's. */
  #isIdle(entry: Entry): boolean {
    const { key, actual, inFlight, sockets, waiters, orders, lastActivityAt } = entry;
    if (isNobody(key.user) || !canStop(actual) || this.#options.busy(entry)) return false;
    if (inFlight > 0 || sockets > 0 || waiters.size > 0 || orders.length > 0) return false;
    if (entry.reservedBytes !== null) return false;
    const desired = this.#options.declared(entry);
    if (desired?.suspended) return false;
    return lastActivityAt + (desired?.rollout.idleAfterMs ?? orphanIdleMs) <= this.#now();
  }

  /** What is left beside a terminal's own part. @param soon once those have left that are on their way */
  #leftBeside(own: Entry | null, soon: boolean): Room {
    const { limits } = this.#options;
    let terminals = limits.terminals ?? Number.POSITIVE_INFINITY;
    let memoryBytes = limits.memoryBytes ?? Number.POSITIVE_INFINITY;
    for (const entry of this.#all()) {
      const counts = entry !== own && !(soon && entry.leaving !== null);
      const bytes = counts ? this.#held(entry) : null;
      if (bytes === null) continue;
      terminals -= 1;
      memoryBytes -= bytes;
    }
    return { terminals, memoryBytes };
  }

  /** The memory of which a terminal has the room; null: it has none. */
  #held(entry: Entry): number | null {
    const { actual, heldBytes, reservedBytes, kept, taken } = entry;
    // Whoever takes it has the room.
    if (taken) return null;
    if (heldBytes === null && !kept) return reservedBytes;
    const limit = actual?.limits?.memoryBytes ?? this.#options.declared(entry)?.limits.memoryBytes ?? 0;
    return Math.max(reservedBytes ?? 0, heldBytes ?? 0, limit);
  }

  *#all(): Iterable<Entry> {
    const { registry } = this.#options;
    yield* registry.all();
    for (const guest of this.#guests) if (registry.get(guest.name) !== guest) yield guest;
  }

  #refusal(tooMany: boolean, { key }: Entry): OverBudgetError {
    const { terminals, memoryBytes } = this.#options.limits;
    const what = tooMany
      ? `as many terminals as it may (TERMINALS_MAX_TERMINALS, ${terminals})`
      : `terminals with as much memory as they may have (TERMINALS_MAX_TOTAL_MEMORY, ${memoryBytes} bytes)`;
    return new OverBudgetError(
      `This host runs ${what}, and none of them is idle: there is no room for one of policy "${key.policy}".`,
      'Try again when somebody is done, or have an administrator stop a terminal or raise the limit.',
    );
  }
}

/** What is broken may run, and nobody works in it. */
function canStop(actual: Actual | undefined): boolean {
  if (actual?.phase === 'Error') return actual.recover === 'replace' && !actual.operated;
  return actual?.phase === 'Running';
}
