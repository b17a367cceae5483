/**
 * The loop: any event only says "look at this terminal"; what is done comes from desired × actual (see `terminal/plan.ts`).
 * @module
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ActivityRecord, Backend, RevisionRecord, SavedActivity } from '../backend/backend.ts';
import { NotFoundError, ShuttingDownError } from '../errors.ts';
import type { Policy, PolicySet } from '../policy/policy.ts';
import type { Desired, PolicyId, RunningTerminal, TerminalKey, TerminalName } from '../terminal/terminal.ts';
import { type Act, Actions, describe, type Order, pausedError } from './actions.ts';
import { Admission } from './admission.ts';
import type { HostLimits } from './budget.ts';
import { Census } from './census.ts';
import { Converging } from './converging.ts';
import { Deadlines } from './deadlines.ts';
import type { Drift } from './drift.ts';
import { Hearing } from './hearing.ts';
import { isSameRun, Observations } from './observations.ts';
import { Planner } from './planner.ts';
import { type QueueOptions, WorkQueue } from './queue.ts';
import { type Entry, Registry } from './registry.ts';
import type { ResetStore } from './reset-store.ts';
import { Resets } from './resets.ts';
import { Rollouts } from './rollouts.ts';
import type { Templates } from './templates.ts';
import type { UseCount } from './use-count.ts';
import type { UsedElsewhere } from './used-elsewhere.ts';
import { rejectWaiters, waitFor } from './waiting.ts';
import type { WarmPool } from './warm-pool.ts';

/** The policies in force, as the reconciler needs them. */
export interface Policies {
  readonly current: PolicySet;
  onChange(listener: () => void): void;
}

export interface ReconcilerOptions {
  readonly backend: Backend;
  readonly policies: Policies;
  readonly templates: Templates;
  readonly activity: ActivityRecord;
  /** Remembers over a restart how revisions fare; absent: each policy's newest one is taken as it is at first. */
  readonly revisions?: RevisionRecord;
  /** Remembers over a restart since when each home is clean; absent: this process alone knows. */
  readonly resets?: ResetStore;
  readonly log: Logger;
  /** Told of everything that was done with a terminal, and why. */
  readonly acted?: (act: Act, terminal: Pick<Entry, 'key' | 'name'>, reason: string) => void;
  /** Told of every start. @param error null: it runs */
  readonly started?: (terminal: Pick<Entry, 'key' | 'name'>, error: unknown, ms: number) => void;
  /** Told of what somebody changed by hand. */
  readonly drifted?: (terminal: Pick<Entry, 'key' | 'name'>, drift: Drift) => void;
  /** What the host has room for; absent: as much as there is. */
  readonly host?: HostLimits;
  /** How often everything is listed and compared, whatever the events said. */
  readonly resyncMs?: number;
  /** Who uses terminals from other processes of this program; absent: nobody. */
  readonly elsewhere?: UsedElsewhere;
}

/** A terminal that runs, and how its use is told. */
export interface Reached {
  readonly terminal: RunningTerminal;
  readonly use: UseCount;
}

/** Work at once: starts are the engine's work, so that more than one a core is worth it. */
function queueOptions({ concurrency }: Backend): QueueOptions {
  return concurrency === undefined
    ? { concurrency: 16, background: 4 }
    : { concurrency, background: Math.ceil(concurrency / 4) };
}
/** What a request waits at most beyond the policy's own start time limit, e.g. while an image is pulled. */
const patienceMs = 30_000;
/** So long is planned without a break. */
const turnMs = 5;

export class Reconciler {
  readonly #backend: Backend;
  readonly #policies: Policies;
  readonly #activity: ActivityRecord;
  readonly #log: Logger;
  readonly #resyncMs: number;
  readonly #registry = new Registry();
  readonly #deadlines = new Deadlines((name) => this.#queue.add(name, false));
  readonly #queue: WorkQueue;
  readonly #stopping = new AbortController();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #observations: Observations;
  readonly #rollouts: Rollouts;
  readonly #planner: Planner;
  readonly #resets: Resets;
  readonly #admission: Admission;
  readonly #converging: Converging;
  readonly #hearing: Hearing;
  #saved: SavedActivity = { lastActivityAt: () => null };
  /** How often all terminals were looked at. */
  #looks = 0;

  constructor(options: ReconcilerOptions) {
    this.#backend = options.backend;
    this.#policies = options.policies;
    this.#activity = options.activity;
    this.#log = options.log;
    this.#resyncMs = options.resyncMs ?? 60_000;
    this.#queue = new WorkQueue((name) => this.#converging.reconcile(name), queueOptions(options.backend));
    const census = new Census((policy) => this.#rollouts.passed(policy));
    this.#rollouts = new Rollouts({
      templates: options.templates,
      record: options.revisions,
      census,
      hasWarm: (policy) => this.#admission.warm.triesFirst(policy),
      log: options.log,
    });
    const supported = options.backend.reset !== undefined;
    this.#resets = new Resets({ store: options.resets, supported, log: options.log });
    this.#planner = new Planner({
      policyOf: (key) => this.#policy(key),
      rollouts: this.#rollouts,
      resets: this.#resets,
      leads: () => this.#leads,
    });
    this.#observations = new Observations({
      declared: (entry) => this.#planner.template(entry),
      census,
      drifted: (entry, drift) => {
        // What all see, one says.
        if (!this.#leads) return;
        options.log.warn({ ...describe(entry), ...drift }, 'drift');
        options.drifted?.(entry, drift);
      },
    });
    const actions = new Actions({
      backend: options.backend,
      observations: this.#observations,
      log: options.log,
      signal: this.#stopping.signal,
      done: (act, entry, reason) => options.acted?.(act, entry, reason),
      started: (entry, error, ms) => options.started?.(entry, error, ms),
      emptied: ({ key, name }) => this.#resets.emptied(key.policy, name),
    });
    this.#admission = new Admission({
      backend: options.backend,
      policies: options.policies,
      host: options.host,
      registry: this.#registry,
      rollouts: this.#rollouts,
      planner: this.#planner,
      actions,
      elsewhere: options.elsewhere,
      queue: this.#queue,
      synced: () => this.synced,
      resync: () => this.resync(),
      signal: this.#stopping.signal,
    });
    this.#hearing = new Hearing({
      registry: this.#registry,
      observations: this.#observations,
      queue: this.#queue,
      admission: this.#admission,
      savedActivity: (name) => this.#saved.lastActivityAt(name),
      look: (entry) => this.#look(entry),
      listed: () => void this.#lookAtAll(),
    });
    this.#converging = new Converging({
      registry: this.#registry,
      policyOf: (key) => this.#policy(key),
      planner: this.#planner,
      rollouts: this.#rollouts,
      actions,
      admission: this.#admission,
      deadlines: this.#deadlines,
      queue: this.#queue,
      elsewhere: options.elsewhere,
      log: options.log,
      signal: this.#stopping.signal,
    });
  }

  /** Whether the backend answered a full listing yet. */
  get synced(): boolean {
    return this.#hearing.synced;
  }

  /** How far the newest revision of each policy is, and a way to begin it anew. */
  get rollouts(): Pick<Rollouts, 'stateOf' | 'templateOf' | 'retry' | 'workloadsOf'> {
    return this.#rollouts;
  }

  /** When homes are emptied by schedule. */
  get resets(): Pick<Resets, 'foresee'> {
    return this.#resets;
  }

  /** Terminals that are started and nobody's yet. */
  get warm(): Pick<WarmPool, 'ready'> {
    return this.#admission.warm;
  }

  /** How many terminals wait for work on them. */
  get queued(): number {
    return this.#queue.depth;
  }

  /** All users' terminals that are known, for status pages. */
  get entries(): Iterable<Readonly<Entry>> {
    return this.#registry.users();
  }

  /**
   * Lists everything, and looks at every terminal; what is to be done is under way when it resolves.
   * @throws EngineUnavailableError
   */
  async resync(): Promise<void> {
    const since = this.#observations.count;
    this.#hearing.relisted(await this.#backend.list(this.#stopping.signal), since);
  }

  /** Calls back when a terminal that ran stops running at its address, so that connections to it can be closed. */
  onGone(listener: (terminal: RunningTerminal) => void): void {
    this.#observations.onGone(listener);
  }

  /**
   * Takes up what runs, then follows events. An engine that does not answer yet is no failure: requests are told so, and
   * everything is taken up when it does.
   */
  async start(): Promise<void> {
    this.#saved = await this.#activity.load(Date.now());
    await this.#rollouts.load(this.#stopping.signal);
    await this.#resets.load(this.#policies.current);
    // Watched first, so that no change falls between, and what a watch begins with and this list may be one.
    this.#backend.watch(this.#hearing, this.#stopping.signal);
    await this.#resync();
    this.#policies.onChange(() => {
      this.#resets.follow(this.#policies.current);
      this.#admission.warm.follow();
      void this.#lookAtAll();
    });
    this.#rollouts.tell({
      changed: (policy) => this.#lookAtPolicy(policy),
      turn: (name) => this.#queue.add(name, false),
    });
    this.#backend.peers?.stand(() => void this.#lookAtAll(), this.#stopping.signal);
    this.#every(this.#resyncMs, () => this.#resync());
    this.#every(this.#activity.intervalMs, () => this.#saveActivity());
  }

  /** Stops working; terminals go on running. */
  async close(): Promise<void> {
    this.#stopping.abort(new ShuttingDownError());
    for (const timer of this.#timers) clearInterval(timer);
    this.#deadlines.close();
    this.#rollouts.close();
    for (const entry of this.#registry.all()) {
      rejectWaiters(entry, new ShuttingDownError());
      for (const { reject } of entry.orders.splice(0)) reject(new ShuttingDownError());
    }
    await this.#queue.close();
    await this.#saveActivity(true);
    await this.#rollouts.saved();
    await this.#resets.saved();
  }

  /** The terminal of a key where it runs, as far as is known; null: `reach` has to see to it. */
  running(key: TerminalKey): Reached | null {
    const entry = this.#registry.find(key);
    if (entry?.actual?.phase !== 'Running' || entry.suspected) return null;
    return { terminal: entry.actual, use: entry };
  }

  /**
   * Says so where somebody stopped the terminal's clock meanwhile: that is why its connections broke.
   * @throws TerminalPausedError
   */
  throwIfPaused(key: TerminalKey): void {
    const actual = this.#registry.find(key)?.actual;
    if (actual?.phase === 'Error' && actual.recover === 'by-hand') throw pausedError(actual.detail);
  }

  /**
   * The running terminal of a key, at once where it runs, else as soon as it does; it is made if there is none.
   * @throws PolicyUnknownError, StartTimeoutError, StartFailedError, ImagePullError, EngineUnavailableError,
   *   TerminalPausedError, ShuttingDownError
   */
  reach(key: TerminalKey, signal: AbortSignal): Reached | Promise<Reached> {
    const running = this.running(key);
    if (running !== null) return running;
    return this.#waitFor(this.#registry.entry(key, Date.now()), signal);
  }

  /** A connection to this terminal failed: what is believed of it is looked up again before anybody is sent there. */
  suspect(key: TerminalKey, seen: RunningTerminal): void {
    const entry = this.#registry.find(key);
    if (entry === undefined || !isSameRun(seen, entry.actual)) return;
    this.#observations.suspect(entry);
    this.#queue.add(entry.name, false);
  }

  /**
   * Has something done with a terminal that is known; resolves when it is done.
   * @throws NotFoundError, and what the backend's calls throw
   */
  order(order: Order, name: TerminalName): Promise<void> {
    const entry = this.#registry.get(name);
    if (entry === undefined) return Promise.reject(unknownTerminal(name));
    if (this.#stopping.signal.aborted) return Promise.reject(new ShuttingDownError());
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    entry.orders.push({ order, resolve, reject });
    this.#queue.add(name, true);
    return promise;
  }

  /** As `Admission.admit`. @throws OverBudgetError */
  admit(desired: Desired): Promise<() => void> {
    return this.#admission.admit(desired);
  }

  async #resync(): Promise<void> {
    try {
      await this.resync();
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#log.error({ err: error }, 'terminals could not be listed');
    }
  }

  // --- all terminals ------------------------------------------------------

  /** In portions, so that requests go on meanwhile; a newer look takes the place of one under way. */
  async #lookAtAll(): Promise<void> {
    this.#looks += 1;
    const look = this.#looks;
    let until = performance.now() + turnMs;
    for (const entry of this.#registry.all()) {
      this.#look(entry);
      // What is being worked on stands for something, even where nothing is there at the moment.
      if (!this.#queue.isRunning(entry.name)) this.#registry.prune(entry);
      if (performance.now() < until) continue;
      await nextTurn();
      if (look !== this.#looks || this.#stopping.signal.aborted) return;
      until = performance.now() + turnMs;
    }
  }

  #lookAtPolicy(policy: PolicyId): void {
    for (const entry of this.#registry.all()) if (entry.key.policy === policy) this.#look(entry);
  }

  /** Plans without acting; only a terminal that needs work gets into the queue. */
  #look(entry: Entry): void {
    if (this.#queue.isRunning(entry.name)) return;
    this.#planner.noteRevision(entry);
    const plan = this.#planner.look(entry);
    if (plan.action.kind === 'none' && entry.waiters.size === 0) this.#converging.schedule(entry, plan);
    else this.#queue.add(entry.name, entry.waiters.size > 0);
  }

  /** Whether this process does what nobody waits for. */
  get #leads(): boolean {
    return this.#backend.peers?.leads ?? true;
  }

  #policy(key: TerminalKey): Policy | undefined {
    return this.#policies.current.policies.get(key.policy);
  }

  // --- who waits ----------------------------------------------------------

  async #waitFor(entry: Entry, signal: AbortSignal): Promise<Reached> {
    this.#stopping.signal.throwIfAborted();
    const limitMs = (this.#planner.desired(entry)?.startTimeoutMs ?? 0) + patienceMs;
    // Asking for it is use of it: one whose idle time is just over is not stopped under who comes back.
    entry.touch();
    const running = waitFor(entry, limitMs, signal);
    this.#queue.add(entry.name, true);
    return { terminal: await running, use: entry };
  }

  // --- timers -------------------------------------------------------------

  #every(ms: number, work: () => Promise<void>): void {
    this.#timers.add(setInterval(() => void work(), ms).unref());
  }

  async #saveActivity(last = false): Promise<void> {
    const now = Date.now();
    const times = new Map<TerminalName, number>();
    for (const { key, name, actual, lastActivityAt, inFlight } of this.#registry.users()) {
      if (actual?.phase === 'Running' || key.context !== null)
        times.set(name, inFlight > 0 ? now : lastActivityAt);
    }
    await this.#activity.save(times, now, last);
  }
}

function unknownTerminal(name: string): NotFoundError {
  return new NotFoundError(`There is no terminal "${name}".`, 'GET /api/v1/terminals lists them.');
}
