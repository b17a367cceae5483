/**
 * How a policy's new revision reaches its terminals: one goes first, the others follow when it runs, and where it does not
 * run everybody stays on, or goes back to, the last revision that did.
 * @module
 */
import type { Logger } from 'pino';
import type { RevisionRecord } from '../backend/backend.ts';
import { EngineUnavailableError, lastLinesOf, OverBudgetError, ShuttingDownError } from '../errors.ts';
import type { Policy } from '../policy/policy.ts';
import { isWarmName } from '../terminal/names.ts';
import { type Failure, failed, proved, retried, type Stall, type Trial } from '../terminal/revisions.ts';
import type { PolicyId, Revision, Template, TerminalName, Workload } from '../terminal/terminal.ts';
import { backoffMs } from './backoff.ts';
import type { Census } from './census.ts';
import { KnownRevisions } from './known-revisions.ts';
import type { Templates } from './templates.ts';

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
  /** Where it is kept how revisions fare; absent: this process alone knows. */
  readonly record?: RevisionRecord | undefined;
  /** How many terminals of a policy run, and which are on their way by other processes. */
  readonly census: Pick<Census, 'running' | 'starting'>;
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
  /** Terminals that this process brings to the newest revision right now; one alone while it is not proven. */
  readonly moving: Set<TerminalName>;
  /** Those that run and wait for their turn. */
  readonly waiting: Set<TerminalName>;
  /** When those that failed may go again; null: none did, or all of them may. */
  again: NodeJS.Timeout | null;
}

/** A start that another process began is given up on so long after its time limit, e.g. while an image is pulled. */
const patienceMs = 30_000;

export class Rollouts {
  readonly #options: RolloutsOptions;
  readonly #known: KnownRevisions;
  readonly #tracks = new Map<PolicyId, Track>();
  #listener: RolloutListener | null = null;
  readonly #now: () => number;

  constructor(options: RolloutsOptions) {
    this.#options = options;
    this.#known = new KnownRevisions(options.record);
    this.#now = options.now ?? Date.now;
  }

  /** Takes up what was known before this process began, and what others find out until the signal aborts. */
  load(signal: AbortSignal): Promise<void> {
    return this.#known.load((policy) => this.#learned(policy), signal);
  }

  /** Tells the reconciler from now on. */
  tell(listener: RolloutListener): void {
    this.#listener = listener;
  }

  /** What this terminal should be made from, as far as the rollout is. */
  templateOf(policy: Policy, name: TerminalName): Template {
    const track = this.#track(policy);
    return !track.proven && this.#isHeld(policy.id, track, name)
      ? this.#lastGood(policy.id, track.newest)
      : track.newest;
  }

  /**
   * Asks for a terminal's turn to be made anew; `leave` must follow.
   * @param running it runs, so that it would be missing meanwhile
   * @returns what to make it from: the newest template, or the last good one where another goes first; null: not now
   */
  enter(policy: Policy, name: TerminalName, running: boolean): Template | null {
    const track = this.#track(policy);
    const { newest, proven, moving, waiting } = track;
    if (!proven && !this.#mayGoFirst(policy.id, track, name)) return this.#lastGood(policy.id, newest);
    if (proven && running && !moving.has(name)) {
      const { share, count } = newest.rollout.maxUnavailable;
      const most = Math.max(1, count + Math.floor(share * this.#options.census.running(policy.id)));
      const stalled = this.#trial(policy.id, track)?.stalled ?? null;
      if (stalled !== null || this.#others(policy.id, track, name) >= most) {
        waiting.add(name);
        return null;
      }
    }
    waiting.delete(name);
    moving.add(name);
    return newest;
  }

  #mayGoFirst(policy: PolicyId, track: Track, name: TerminalName): boolean {
    if (this.#known.goodOf(policy) === null || track.moving.has(name)) return true;
    if (!isWarmName(name) && this.#options.hasWarm?.(policy)) return false;
    return this.#others(policy, track, name) === 0 && !this.#isHeld(policy, track, name);
  }

  /** How many others are on their way to the newest revision, whichever process sees to them. */
  #others(policy: PolicyId, { newest, moving }: Track, name: TerminalName): number {
    const withinMs = newest.startTimeoutMs + patienceMs;
    const all = new Set([...moving, ...this.#options.census.starting(policy, newest.revision, withinMs)]);
    all.delete(name);
    return all.size;
  }

  #isHeld(policy: PolicyId, track: Track, name: TerminalName): boolean {
    const trial = this.#trial(policy, track);
    if (trial === null) return false;
    return trial.stalled !== null || (trial.failed.includes(name) && this.#now() < trial.againAt);
  }

  /** A terminal's turn is over, whatever came of it: the next one's begins. */
  leave(policy: Policy, name: TerminalName): void {
    if (this.#tracks.get(policy.id)?.moving.delete(name)) this.passed(policy.id);
  }

  /** A terminal of this policy is on its way no more: who waited for that goes on. */
  passed(policy: PolicyId): void {
    const track = this.#tracks.get(policy);
    if (track === undefined) return;
    const trial = this.#trial(policy, track);
    const [next] = track.waiting;
    if (next !== undefined && (trial?.stalled ?? null) === null) {
      track.waiting.delete(next);
      this.#listener?.turn(next);
    } else if (!track.proven && trial === null) this.#listener?.changed(policy);
  }

  /** A terminal runs with this revision. */
  ran(policy: Policy, revision: Revision): void {
    const track = this.#track(policy);
    const { newest } = track;
    if (revision !== newest.revision) return;
    this.#known.change(policy.id, (known) => proved(known, { revision, workload: newest.workload }));
    if (track.proven) return;
    track.proven = true;
    this.#listener?.changed(policy.id);
  }

  /**
   * A terminal did not come to run with the newest revision.
   * @returns whether there is a last good one to go back to at once
   */
  failed(policy: Policy, name: TerminalName, error: unknown): boolean {
    const track = this.#track(policy);
    if (!track.moving.has(name) || !isOfRevision(error)) return false;
    const { revision, rollout } = track.newest;
    const reason = error instanceof Error ? error.message : String(error);
    const { pauseOnFailures } = rollout;
    const failure: Failure = {
      ...{ revision, terminal: name, reason, lastLines: lastLinesOf(error), pauseOnFailures },
      ...{ pauseMs: backoffMs, at: this.#now() },
    };
    const before = this.#trial(policy.id, track);
    this.#known.change(policy.id, (known) => failed(known, failure));
    this.#tryAgainLater(policy.id, track);
    if (before?.stalled == null && this.#trial(policy.id, track)?.stalled) {
      const { lastLines } = failure;
      const fields = { policy: policy.id, revision, terminal: name, reason, lastLines };
      this.#options.log.error(fields, 'rollout stalled: everybody stays on the last revision that ran');
    }
    this.#listener?.changed(policy.id);
    return this.#known.goodOf(policy.id) !== null && !track.proven;
  }

  /** Resolves when nothing is left to be written. */
  saved(): Promise<void> {
    return this.#known.saved();
  }

  /** Begins nothing any more. */
  close(): void {
    for (const { again } of this.#tracks.values()) clearTimeout(again ?? undefined);
    this.#tracks.clear();
  }

  /** Begins anew with the newest revision, e.g. after what it needs was mended elsewhere. */
  retry(policy: PolicyId): void {
    this.#known.change(policy, retried);
    this.#listener?.changed(policy);
  }

  /** Whether it has to show yet whether this revision runs, and there is one to go back to. */
  isOnTrial(policy: Policy, revision: Revision): boolean {
    const { newest, proven } = this.#track(policy);
    return !proven && revision === newest.revision && this.#known.goodOf(policy.id) !== null;
  }

  /** How far the newest revision of a policy is. */
  stateOf(policy: Policy): RolloutState {
    const track = this.#track(policy);
    const { newest, proven } = track;
    const trial = this.#trial(policy.id, track);
    const good = this.#known.goodOf(policy.id);
    const inForce = proven || good === null ? newest.revision : good.revision;
    const { failures = 0, stalled = null } = trial ?? {};
    return { revision: newest.revision, inForce, proven, failures, stalled };
  }

  /** All that terminals of a policy may be made from as things are: the newest, and the last good until that is proven. */
  workloadsOf(policy: Policy): readonly Workload[] {
    const { newest, proven } = this.#track(policy);
    const good = this.#known.goodOf(policy.id);
    return proven || good === null ? [newest.workload] : [newest.workload, good.workload];
  }

  #track(policy: Policy): Track {
    const newest = this.#options.templates.of(policy);
    const known = this.#tracks.get(policy.id);
    if (known?.newest.revision === newest.revision) {
      known.newest = newest;
      return known;
    }
    clearTimeout(known?.again ?? undefined);
    const proven = this.#known.goodOf(policy.id)?.revision === newest.revision;
    const track: Track = { newest, proven, moving: new Set(), waiting: new Set(), again: null };
    this.#tracks.set(policy.id, track);
    this.#tryAgainLater(policy.id, track);
    return track;
  }

  /** What came of the newest revision so far. */
  #trial(policy: PolicyId, { newest }: Track): Trial | null {
    return this.#known.trialOf(policy, newest.revision);
  }

  /** Another process found something out. */
  #learned(policy: PolicyId): void {
    const track = this.#tracks.get(policy);
    if (track === undefined) return;
    track.proven ||= this.#known.goodOf(policy)?.revision === track.newest.revision;
    this.#tryAgainLater(policy, track);
    this.#listener?.changed(policy);
  }

  /** Where every terminal has failed once and the rollout is not stalled yet, one of them has to go again. */
  #tryAgainLater(policy: PolicyId, track: Track): void {
    const trial = this.#trial(policy, track);
    if (track.again !== null || trial === null || trial.stalled !== null) return;
    const pauseMs = trial.againAt - this.#now();
    if (pauseMs <= 0) return;
    const again = () => {
      track.again = null;
      if (this.#tracks.get(policy) !== track) return;
      this.#tryAgainLater(policy, track);
      if (track.again === null) this.#listener?.changed(policy);
    };
    track.again = setTimeout(again, pauseMs).unref();
  }

  /** What can change in place is as declared all the same. */
  #lastGood(policy: PolicyId, newest: Template): Template {
    const good = this.#known.goodOf(policy);
    return good === null ? newest : { ...newest, revision: good.revision, workload: good.workload };
  }
}

const notOfRevision = [EngineUnavailableError, OverBudgetError, ShuttingDownError];

/** Whether a failure speaks against the revision, and not against the engine, the host or this process. */
function isOfRevision(error: unknown): boolean {
  return !notOfRevision.some((kind) => error instanceof kind);
}
