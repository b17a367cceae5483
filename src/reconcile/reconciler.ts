/**
 * The loop: any event only says "look at this terminal"; what is done comes from desired × actual (see `terminal/plan.ts`).
 * @module
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from 'pino';
import type {
  ActivityRecord,
  Backend,
  BackendListener,
  RevisionRecord,
  SavedActivity,
} from '../backend/backend.ts';
import {
  NotFoundError,
  PolicyUnknownError,
  ShuttingDownError,
  StartTimeoutError,
  TerminalsError,
} from '../errors.ts';
import type { Policy, PolicySet } from '../policy/policy.ts';
import { discoveryUser } from '../terminal/names.ts';
import type { Plan } from '../terminal/plan.ts';
import type {
  Actual,
  Desired,
  PolicyId,
  Revision,
  RunningTerminal,
  TerminalKey,
  TerminalName,
} from '../terminal/terminal.ts';
import { type Act, Actions, describe, type Order, pausedError } from './actions.ts';
import { Admission } from './admission.ts';
import { backoffMs } from './backoff.ts';
import type { HostLimits } from './budget.ts';
import { Census } from './census.ts';
import { Deadlines } from './deadlines.ts';
import type { Drift } from './drift.ts';
import { isSameRun, Observations } from './observations.ts';
import { Planner } from './planner.ts';
import { type QueueOptions, WorkQueue } from './queue.ts';
import { type Entry, Registry } from './registry.ts';
import type { ResetStore } from './reset-store.ts';
import { Resets } from './resets.ts';
import { Rollouts } from './rollouts.ts';
import type { Templates } from './templates.ts';
import type { UsedElsewhere } from './used-elsewhere.ts';
import { rejectWaiters, resolveWaiters, waitFor } from './waiting.ts';
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
  readonly use: Pick<Entry, 'touch' | 'begin' | 'end' | 'join' | 'part'>;
}

/** Work at once: starts are the engine's work, so that more than one a core is worth it. */
function queueOptions({ concurrency }: Backend): QueueOptions {
  return concurrency === undefined
    ? { concurrency: 16, background: 4 }
    : { concurrency, background: Math.ceil(concurrency / 4) };
}
/** What a request waits at most beyond the policy's own start time limit, e.g. while an image is pulled. */
const patienceMs = 30_000;
/** A look at one terminal takes at most this many steps before it gives way to others. */
const maxSteps = 4;
/** What ends the connections to one that runs. */
const takesDown: ReadonlySet<Plan['action']['kind']> = new Set(['stop', 'replace', 'reset', 'delete']);
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
  readonly #actions: Actions;
  readonly #rollouts: Rollouts;
  readonly #planner: Planner;
  readonly #resets: Resets;
  readonly #admission: Admission;
  readonly #elsewhere: ReconcilerOptions['elsewhere'];
  #saved: SavedActivity = { lastActivityAt: () => null };
  #synced = false;
  /** How often all terminals were looked at. */
  #looks = 0;

  constructor(options: ReconcilerOptions) {
    this.#backend = options.backend;
    this.#policies = options.policies;
    this.#activity = options.activity;
    this.#log = options.log;
    this.#resyncMs = options.resyncMs ?? 60_000;
    this.#queue = new WorkQueue((name) => this.#reconcile(name), queueOptions(options.backend));
    this.#elsewhere = options.elsewhere;
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
      declared: (entry) => this.#planner.desired(entry),
      census,
      drifted: (entry, drift) => {
        // What all see, one says.
        if (!this.#leads) return;
        options.log.warn({ ...describe(entry), ...drift }, 'drift');
        options.drifted?.(entry, drift);
      },
    });
    this.#actions = new Actions({
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
      actions: this.#actions,
      elsewhere: options.elsewhere,
      queue: this.#queue,
      synced: () => this.#synced,
      resync: () => this.resync(),
      signal: this.#stopping.signal,
    });
  }

  /** Whether the backend answered a full listing yet. */
  get synced(): boolean {
    return this.#synced;
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
    this.#relisted(await this.#backend.list(this.#stopping.signal), since);
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
    this.#backend.watch(this.#listener, this.#stopping.signal);
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

  // --- one terminal -------------------------------------------------------

  async #reconcile(name: TerminalName): Promise<void> {
    const entry = this.#registry.get(name);
    if (entry === undefined || entry.taken || this.#stopping.signal.aborted) return;
    // Whoever ends its run says what came of it to those who need the room.
    await entry.leaving?.catch(() => undefined);
    if (entry.stale) entry.observed = false;
    entry.stale = false;
    await this.#obey(entry);
    const asked = entry.waiters.size > 0;
    try {
      await this.#convergeOrGoBack(entry);
      entry.failures = 0;
    } catch (error) {
      this.#failed(entry, error, asked);
    }
    entry.progress = null;
    this.#registry.prune(entry);
    this.#admission.warm.follow();
  }

  /** Whoever gave an order hears what came of it, and nobody else. */
  async #obey(entry: Entry): Promise<void> {
    for (let next = entry.orders.shift(); next !== undefined; next = entry.orders.shift()) {
      await this.#actions
        .obey(entry, next.order, this.#planner.desired(entry))
        .then(next.resolve, next.reject);
    }
  }

  /** A terminal that does not come to run with a new revision goes back to the last good one, and nobody hears of it. */
  async #convergeOrGoBack(entry: Entry): Promise<void> {
    const policy = this.#policy(entry.key);
    try {
      await this.#converge(entry);
    } catch (error) {
      if (policy === undefined || !this.#rollouts.failed(policy, entry.name, error)) throw error;
      this.#log.warn({ ...describe(entry), err: error }, 'back to the last revision that ran');
      this.#rollouts.leave(policy, entry.name);
      entry.observed = false;
      entry.restoring = true;
      await this.#converge(entry);
    } finally {
      entry.restoring = false;
      if (policy !== undefined) this.#rollouts.leave(policy, entry.name);
    }
    this.#planner.noteRevision(entry);
  }

  /** Plans and acts until there is nothing to do, then serves who waits and notes when to look again. */
  async #converge(entry: Entry): Promise<void> {
    let prepared: Revision | null = null;
    for (let step = 0; step < maxSteps; step += 1) {
      if (!entry.observed) await this.#actions.inspect(entry);
      const { desired, plan } = this.#planner.inTurn(entry);
      if (plan.action.kind === 'none') return this.#settle(entry, plan, desired);

      // Whatever needs the network comes before anything is taken down, and what to do is decided anew after it.
      if (plan.action.kind === 'replace' && desired && prepared !== desired.revision) {
        await this.#actions.prepare(entry, desired);
        prepared = desired.revision;
        continue;
      }
      // So that it is not taken down under who has just begun to use it: with all that is known, it is planned again.
      if (takesDown.has(plan.action.kind) && this.#elsewhere?.isHeld(entry.name)) {
        await this.#elsewhere.recall(entry.name);
        continue;
      }
      await this.#admission.perform(entry, plan.action, desired);
    }
    this.#queue.add(entry.name, entry.waiters.size > 0);
  }

  #settle(entry: Entry, plan: Plan, desired: Desired | undefined): void {
    this.#schedule(entry, plan);
    if (entry.waiters.size === 0) return;
    if (entry.actual?.phase === 'Running') resolveWaiters(entry, entry.actual);
    else if (desired === undefined) rejectWaiters(entry, new PolicyUnknownError(entry.key.policy));
    else rejectWaiters(entry, new StartTimeoutError(`The terminal is ${plan.action.reason}.`, 'Try again.'));
  }

  #schedule(entry: Entry, plan: Plan): void {
    this.#deadlines.set(entry.name, plan.deferred.find(({ at }) => at !== null)?.at ?? null);
  }

  /** @param asked whether somebody waited when the work began; who came since is served by the work queued for them. */
  #failed(entry: Entry, error: unknown, asked: boolean): void {
    if (asked) rejectWaiters(entry, error);
    if (this.#stopping.signal.aborted) return;
    const log = this.#log.child(describe(entry));
    entry.failures += 1;
    if (entry.actual?.phase !== 'Error') entry.observed = false;
    const expected = error instanceof TerminalsError;
    log[expected ? 'warn' : 'error']({ err: error, failures: entry.failures }, 'reconcile failed');
    // Who asked has the answer and asks again when he likes; what nobody asked for is tried again later.
    if (!asked && (entry.actual !== undefined || entry.kept)) {
      this.#deadlines.set(entry.name, Date.now() + backoffMs(entry.failures));
    }
  }

  // --- observation --------------------------------------------------------

  readonly #listener: BackendListener = {
    changed: (key, actual) => {
      if (key.user === discoveryUser) return;
      const entry = this.#registry.entry(key, this.#lastActivity(actual));
      if (entry.taken) return;
      if (this.#queue.isRunning(entry.name)) {
        entry.observed = false;
        entry.stale = true;
        this.#queue.add(entry.name, false);
        return;
      }
      this.#hear(entry, actual);
      this.#admission.warm.follow();
      this.#look(entry);
      this.#registry.prune(entry);
    },
    relisted: (all) => this.#relisted(all),
  };

  /** @param since what was recorded after this count is younger than the list. */
  #relisted(all: readonly Actual[], since = this.#observations.count): void {
    const known = (entry: Entry) =>
      this.#queue.isRunning(entry.name) || entry.taken || entry.recordedAt > since;
    const seen = new Set<TerminalName>();
    for (const actual of all) {
      if (actual.key.user === discoveryUser) continue;
      seen.add(actual.name);
      const entry =
        this.#registry.find(actual.key) ?? this.#registry.entry(actual.key, this.#lastActivity(actual));
      if (!known(entry)) this.#hear(entry, actual);
    }
    for (const entry of this.#registry.all()) {
      if (!seen.has(entry.name) && !known(entry)) this.#hear(entry, undefined);
    }
    this.#synced = true;
    this.#admission.warm.follow();
    void this.#lookAtAll();
  }

  /** What is heard may be older than what was done since: it says that something is to be done, and not yet what. */
  #hear(entry: Entry, actual: Actual | undefined): void {
    const { heldBytes } = entry;
    this.#observations.observe(entry, actual);
    entry.observed = false;
    if (entry.heldBytes !== null || heldBytes === null || !this.#admission.limited) return;
    // Its room is another's only once the backend was asked.
    entry.heldBytes = heldBytes;
    this.#queue.add(entry.name, false);
  }

  #lastActivity(actual: Actual | undefined): number {
    if (actual === undefined) return Date.now();
    return actual.lastActivityAt ?? this.#saved.lastActivityAt(actual.name) ?? Date.now();
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
    if (plan.action.kind === 'none' && entry.waiters.size === 0) this.#schedule(entry, plan);
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
