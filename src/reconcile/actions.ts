/**
 * Carrying out what the plan of one terminal says, and keeping in step what is believed of it.
 * @module
 */
import type { Logger } from 'pino';
import type { Backend } from '../backend/backend.ts';
import { StartTimeoutError, TerminalPausedError } from '../errors.ts';
import { authorityOf } from '../terminal/address.ts';
import { isNobody } from '../terminal/names.ts';
import type { Action } from '../terminal/plan.ts';
import type { Desired, RunningTerminal } from '../terminal/terminal.ts';
import type { Observations } from './observations.ts';
import type { Entry } from './registry.ts';
import type { Claim } from './warm-pool.ts';

export interface ActionsOptions {
  readonly backend: Backend;
  readonly observations: Observations;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Told of everything that was done. */
  readonly done: (act: Act, entry: Entry, reason: string) => void;
  /** Told of every start, however it came about. @param error null: it runs */
  readonly started: (entry: Entry, error: unknown, ms: number) => void;
  /** Told when a home was emptied or removed; nothing is done with the terminal until it resolves. */
  readonly emptied: (entry: Entry) => Promise<void>;
}

/** What an administrator can ask for, beside what the policy declares. */
export interface Order {
  /** `refresh`: the next request makes it anew; `reset`: with an empty home; `delete`: the same, in other words. */
  readonly kind: 'stop' | 'refresh' | 'reset' | 'delete';
  readonly reason: string;
}

/** What can be done with a terminal. */
export type Act = Exclude<Action['kind'], 'none' | 'refuse'> | Order['kind'];

const pastOf = { refresh: 'refreshed', reset: 'reset', delete: 'deleted' } as const;

export class Actions {
  readonly #backend: Backend;
  readonly #observations: Observations;
  readonly #log: Logger;
  readonly #signal: AbortSignal;
  readonly #done: ActionsOptions['done'];
  readonly #started: ActionsOptions['started'];
  readonly #emptied: ActionsOptions['emptied'];

  constructor({ backend, observations, log, signal, done, started, emptied }: ActionsOptions) {
    this.#backend = backend;
    this.#observations = observations;
    this.#log = log;
    this.#signal = signal;
    this.#done = done;
    this.#started = started;
    this.#emptied = emptied;
  }

  /** Looks at the terminal, where what is believed of it may be stale. */
  async inspect(entry: Entry): Promise<void> {
    // An event that comes while the backend answers makes it stale again.
    entry.observed = true;
    try {
      this.#observations.observe(entry, await this.#backend.inspect(entry.key, this.#signal));
    } catch (error) {
      entry.observed = false;
      throw error;
    }
  }

  /** Gets ready what a replacement will need, while the old terminal still runs. */
  prepare(entry: Entry, { workload }: Desired): Promise<void> {
    return this.#backend.prepare(workload, this.#progress(entry), this.#signal);
  }

  /**
   * @param claim a terminal that is nobody's, from which this one can be had at once
   * @throws what the backend's calls throw; TerminalPausedError where it can't be helped from here
   */
  async perform(
    entry: Entry,
    action: Action,
    desired: Desired | undefined,
    claim: Claim | null = null,
  ): Promise<void> {
    if (action.kind !== 'none') {
      this.#log.info({ ...describe(entry), action: action.kind, reason: action.reason }, 'reconcile');
    }
    await this.#carryOut(entry, action, desired, claim);
    if (action.kind !== 'none' && action.kind !== 'refuse') this.#done(action.kind, entry, action.reason);
  }

  /** Carries out what an administrator asked for, whatever the plan is. */
  async obey(entry: Entry, { kind, reason }: Order, desired: Desired | undefined): Promise<void> {
    this.#log.info({ ...describe(entry), order: kind, reason }, 'reconcile');
    if (kind === 'stop') await this.#stop(entry);
    else if (kind === 'reset' && desired && this.#backend.reset) await this.#reset(entry, desired, []);
    else await this.#remove(entry, `it is being ${pastOf[kind]}`, kind !== 'refresh');
    this.#done(kind, entry, reason);
  }

  async #carryOut(
    entry: Entry,
    action: Action,
    desired: Desired | undefined,
    claim: Claim | null,
  ): Promise<void> {
    switch (action.kind) {
      case 'none':
        return;
      case 'refuse':
        throw pausedError(action.reason);
      case 'stop':
        return this.#stop(entry);
      case 'update':
        if (desired) this.#observations.record(entry, await this.#backend.update(desired, this.#signal));
        return;
      case 'start':
        if (desired) this.#arrive(entry, await this.#start(entry, desired));
        return;
      case 'delete':
        return this.#remove(entry, 'it is being deleted', true);
      case 'reset':
        if (desired) await this.#reset(entry, desired, desired.reset?.keep ?? []);
        return;
      case 'replace':
        return this.#replace(entry, desired, claim);
      case 'create':
        if (desired) await this.#create(entry, desired, claim);
        return;
    }
  }

  /** Who comes meanwhile waits, and has it started again. */
  async #stop(entry: Entry): Promise<void> {
    this.#observations.doubt(entry, 'it is being stopped');
    await this.#backend.stop(entry.key, this.#signal);
  }

  async #remove(entry: Entry, why: string, files: boolean): Promise<void> {
    this.#observations.doubt(entry, why);
    await this.#backend.remove(entry.key, { files }, this.#signal);
    if (files) await this.#emptied(entry);
    // Where it could be replaced in one step, something is left that holds the files: the next look finds it.
    if (files || this.#backend.replace === undefined) this.#observations.record(entry, undefined);
  }

  /** The next request makes it anew. */
  async #reset(entry: Entry, desired: Desired, keep: readonly string[]): Promise<void> {
    this.#observations.doubt(entry, 'it is being reset');
    await this.#backend.reset?.(desired, keep, this.#signal);
    await this.#emptied(entry);
    // As for `remove`.
    if (this.#backend.replace === undefined) this.#observations.record(entry, undefined);
  }

  async #replace(entry: Entry, desired: Desired | undefined, claim: Claim | null): Promise<void> {
    const why = 'it is being replaced';
    if (desired && this.#backend.replace) {
      this.#observations.doubt(entry, why);
      const progress = this.#progress(entry);
      const replacing = this.#backend.replace(desired, progress, this.#signal);
      return this.#arrive(entry, await this.#timed(entry, replacing));
    }
    await this.#remove(entry, why, false);
    if (desired) await this.#create(entry, desired, claim);
  }

  async #create(entry: Entry, desired: Desired, claim: Claim | null): Promise<void> {
    this.#arrive(entry, await this.#timed(entry, this.#make(entry, desired, claim)));
  }

  async #make(entry: Entry, desired: Desired, claim: Claim | null): Promise<RunningTerminal> {
    const claimed = claim && (await claim.use());
    return claimed ?? this.#backend.create(desired, this.#progress(entry), this.#signal);
  }

  /** Tells how the start went, and how long it took. */
  async #timed(entry: Entry, start: Promise<RunningTerminal>): Promise<RunningTerminal> {
    const began = performance.now();
    try {
      const running = await start;
      this.#started(entry, null, performance.now() - began);
      return running;
    } catch (error) {
      this.#started(entry, error, performance.now() - began);
      throw error;
    }
  }

  /** One that is there but never gets healthy is broken: the next request replaces it. An operator sees to its own. */
  async #start(entry: Entry, desired: Desired): Promise<RunningTerminal> {
    try {
      return await this.#timed(entry, this.#backend.start(desired, this.#progress(entry), this.#signal));
    } catch (error) {
      const { actual } = entry;
      if (error instanceof StartTimeoutError && actual !== undefined && !actual.operated) {
        const broken = { ...actual, phase: 'Error', detail: error.message, recover: 'replace' } as const;
        this.#observations.record(entry, broken);
      }
      throw error;
    }
  }

  #arrive(entry: Entry, terminal: RunningTerminal): void {
    // Nobody used one that was only replaced; where an operator stops it, that counts from its last use.
    if (!terminal.operated || entry.waiters.size > 0) entry.touch();
    this.#observations.record(entry, terminal);
    this.#log.info({ ...describe(entry), address: authorityOf(terminal.address) }, 'running');
  }

  #progress(entry: Entry): (detail: string) => void {
    return (detail) => {
      entry.progress = detail;
      this.#log.info({ ...describe(entry), progress: detail }, 'starting');
    };
  }
}

/** It can't be helped from here. */
export function pausedError(detail: string): TerminalPausedError {
  return new TerminalPausedError(detail, 'Undo by hand what was done by hand, then try again.');
}

/** The fields of a log line about a terminal. */
export function describe({ key, name }: Entry): Readonly<Record<string, string>> {
  const { user, policy, context } = key;
  if (isNobody(user)) return { terminal: name, policy };
  return { terminal: name, user, policy, ...(context === null ? {} : { context }) };
}
