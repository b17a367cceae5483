/**
 * How a policy's new revision reaches its terminals: one goes first, the others follow when it runs, and where it does not
 * run everybody stays on, or goes back to, the last revision that did.
 * @module
 */
import type { Logger } from 'pino';
import { EngineUnavailableError, lastLinesOf, OverBudgetError, ShuttingDownError } from '../errors.ts';
import type { Policy } from '../policy/policy.ts';
import { isWarmName } from '../terminal/names.ts';
import type { PolicyId, Revision, Template, TerminalName, Workload } from '../terminal/terminal.ts';
import { backoffMs } from './backoff.ts';
import type { Templates } from './templates.ts';

/** A workload that has run, which counts until a newer one has. */
export interface GoodWorkload {
  readonly revision: Revision;
  readonly workload: Workload;
}

/** Why a rollout does not go on. */
export interface Stall {
  /** Epoch milliseconds. */
  readonly since: number;
  /** The terminal that failed last. */
  readonly terminal: TerminalName;
  readonly reason: string;
  /** The last lines that it wrote, where there are any. */
  readonly lastLines: readonly string[];
}

/** How far a policy's newest revision is. */
export interface RolloutState {
  readonly revision: Revision;
  /** The revision that new terminals are made from. */
  readonly inForce: Revision;
  /** Whether a terminal has run with the newest revision. */
  readonly proven: boolean;
  /** Starts of the newest revision that failed in a row. */
  readonly failures: number;
  readonly stalled: Stall | null;
}

export interface RolloutsOptions {
  readonly templates: Templates;
  /** A revision has run for the first time: what is good now, for the next process to know. */
  readonly proven: (good: ReadonlyMap<PolicyId, GoodWorkload>) => void;
  /** How many terminals of a policy there are. */
  readonly count: (policy: PolicyId) => number;
  /** Whether a policy has terminals that are nobody's: a new revision is tried on one of those, and on no user's. */
  readonly hasWarm?: (policy: PolicyId) => boolean;
  readonly log: Logger;
  readonly now?: () => number;
}

/** Told of what the terminals of a policy have to know. */
export interface RolloutListener {
  /** Terminals of a policy that had to wait may go on, or have to go back. */
  changed(policy: PolicyId): void;
  /** It is this terminal's turn. */
  turn(name: TerminalName): void;
}

interface Track {
  newest: Template;
  proven: boolean;
  failures: number;
  stalled: Stall | null;
  /** Terminals on their way to the newest revision right now; one alone while it is not proven. */
  readonly moving: Set<TerminalName>;
  /** Those that run and wait for their turn. */
  readonly waiting: Set<TerminalName>;
  /** When those that failed may go again; null: none did, or all of them may. */
  again: NodeJS.Timeout | null;
  /** Terminals that failed with it and are back at the last good one. */
  readonly failed: Set<TerminalName>;
}

export class Rollouts {
  readonly #options: RolloutsOptions;
  readonly #good = new Map<PolicyId, GoodWorkload>();
  readonly #tracks = new Map<PolicyId, Track>();
  #listener: RolloutListener | null = null;
  readonly #now: () => number;

  constructor(options: RolloutsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** What was good before this process began. */
  restore(good: ReadonlyMap<PolicyId, GoodWorkload>): void {
    for (const [policy, workload] of good) this.#good.set(policy, workload);
  }

  /** Tells the reconciler from now on. */
  tell(listener: RolloutListener): void {
    this.#listener = listener;
  }

  /** What this terminal should be made from, as far as the rollout is. */
  templateOf(policy: Policy, name: TerminalName): Template {
    const track = this.#track(policy);
    const held = track.stalled !== null || track.failed.has(name);
    return held && !track.proven ? this.#lastGood(policy.id, track.newest) : track.newest;
  }

  /**
   * Asks for a terminal's turn to be made anew; `leave` must follow.
   * @param running it runs, so that it would be missing meanwhile
   * @returns what to make it from: the newest template, or the last good one where another goes first; null: not now
   */
  enter(policy: Policy, name: TerminalName, running: boolean): Template | null {
    const track = this.#track(policy);
    const { newest, proven, stalled, moving, waiting } = track;
    if (!proven && !this.#mayGoFirst(policy.id, track, name)) return this.#lastGood(policy.id, newest);
    if (proven && running && !moving.has(name)) {
      const { share, count } = newest.rollout.maxUnavailable;
      const most = Math.max(1, count + Math.floor(share * this.#options.count(policy.id)));
      if (stalled !== null || moving.size >= most) {
        waiting.add(name);
        return null;
      }
    }
    waiting.delete(name);
    moving.add(name);
    return newest;
  }

  #mayGoFirst(policy: PolicyId, { stalled, moving, failed }: Track, name: TerminalName): boolean {
    if (!this.#good.has(policy) || moving.has(name)) return true;
    if (!isWarmName(name) && this.#options.hasWarm?.(policy)) return false;
    return stalled === null && moving.size === 0 && !failed.has(name);
  }

  /** A terminal's turn is over, whatever came of it: the next one's begins. */
  leave(policy: Policy, name: TerminalName): void {
    const track = this.#tracks.get(policy.id);
    if (!track?.moving.delete(name)) return;
    const [next] = track.waiting;
    if (next !== undefined && track.stalled === null) {
      track.waiting.delete(next);
      this.#listener?.turn(next);
    } else if (!track.proven && track.failures === 0) this.#listener?.changed(policy.id);
  }

  /** A terminal runs with this revision. */
  ran(policy: Policy, revision: Revision): void {
    const track = this.#track(policy);
    if (revision !== track.newest.revision) return;
    track.failures = 0;
    if (track.proven) return;
    track.proven = true;
    track.stalled = null;
    track.failed.clear();
    this.#good.set(policy.id, { revision, workload: track.newest.workload });
    this.#options.proven(this.#good);
    this.#listener?.changed(policy.id);
  }

  /**
   * A terminal did not come to run with the newest revision.
   * @returns whether there is a last good one to go back to at once
   */
  failed(policy: Policy, name: TerminalName, error: unknown): boolean {
    const track = this.#track(policy);
    if (!track.moving.has(name) || !isOfRevision(error)) return false;
    track.failures += 1;
    track.failed.add(name);
    const reason = error instanceof Error ? error.message : String(error);
    if (track.stalled === null && track.failures >= track.newest.rollout.pauseOnFailures) {
      const failure = { terminal: name, reason, lastLines: lastLinesOf(error) };
      track.stalled = { since: this.#now(), ...failure };
      const fields = { policy: policy.id, revision: track.newest.revision, ...failure };
      this.#options.log.error(fields, 'rollout stalled: everybody stays on the last revision that ran');
    }
    if (track.stalled === null) this.#tryAgainLater(policy.id, track);
    this.#listener?.changed(policy.id);
    return this.#good.has(policy.id) && !track.proven;
  }

  /** Where every terminal has failed once and the rollout is not stalled yet, one of them has to go again. */
  #tryAgainLater(policy: PolicyId, track: Track): void {
    if (track.again !== null) return;
    const again = () => {
      track.again = null;
      if (this.#tracks.get(policy) !== track || track.stalled !== null) return;
      track.failed.clear();
      this.#listener?.changed(policy);
    };
    track.again = setTimeout(again, backoffMs(track.failures)).unref();
  }

  /** Begins nothing any more. */
  close(): void {
    for (const { again } of this.#tracks.values()) clearTimeout(again ?? undefined);
    this.#tracks.clear();
  }

  /** Begins anew with the newest revision, e.g. after what it needs was mended elsewhere. */
  retry(policy: PolicyId): void {
    if (this.#tracks.delete(policy)) this.#listener?.changed(policy);
  }

  /** How far the newest revision of a policy is. */
  stateOf(policy: Policy): RolloutState {
    const { newest, proven, failures, stalled } = this.#track(policy);
    const good = this.#good.get(policy.id);
    const inForce = proven || good === undefined ? newest.revision : good.revision;
    return { revision: newest.revision, inForce, proven, failures, stalled };
  }

  /** All that terminals of a policy may be made from as things are: the newest, and the last good until that is proven. */
  workloadsOf(policy: Policy): readonly Workload[] {
    const { newest, proven } = this.#track(policy);
    const good = this.#good.get(policy.id);
    return proven || good === undefined ? [newest.workload] : [newest.workload, good.workload];
  }

  #track(policy: Policy): Track {
    const newest = this.#options.templates.of(policy);
    const known = this.#tracks.get(policy.id);
    if (known?.newest.revision === newest.revision) {
      known.newest = newest;
      return known;
    }
    const proven = this.#good.get(policy.id)?.revision === newest.revision;
    const track = {
      newest,
      proven,
      waiting: new Set<TerminalName>(),
      failures: 0,
      again: null,
      stalled: null,
      moving: new Set<TerminalName>(),
      failed: new Set<TerminalName>(),
    };
    this.#tracks.set(policy.id, track);
    return track;
  }

  /** What can change in place is as declared all the same. */
  #lastGood(policy: PolicyId, newest: Template): Template {
    const good = this.#good.get(policy);
    return good === undefined ? newest : { ...newest, revision: good.revision, workload: good.workload };
  }
}

const notOfRevision = [EngineUnavailableError, OverBudgetError, ShuttingDownError];

/** Whether a failure speaks against the revision, and not against the engine, the host or this process. */
function isOfRevision(error: unknown): boolean {
  return !notOfRevision.some((kind) => error instanceof kind);
}
