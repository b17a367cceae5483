/**
 * What runs terminals. The reconciler knows only this interface; `docker/` and `process/` answer it.
 * @module
 */
import type { Revisions } from '../terminal/revisions.ts';
import type {
  Actual,
  Desired,
  PolicyId,
  RunningTerminal,
  TerminalKey,
  TerminalName,
  UserId,
  Workload,
} from '../terminal/terminal.ts';

export type BackendKind = 'docker' | 'process' | 'kubernetes-operator';

/** Told of anything that may have changed; the receiver looks again, it never trusts the event's content. */
export interface BackendListener {
  /** Grows with whatever is recorded of a terminal. Read before the engine is asked, it says how old the answer is. */
  readonly count: number;
  /**
   * This terminal changed: here is what it is (undefined: gone).
   * @param since `count` before the engine was asked (absent: just now)
   */
  changed(key: TerminalKey, actual: Actual | undefined, since?: number): void;
  /** The event stream was lost and is back: everything was listed again. @param since as for `changed` */
  relisted(all: readonly Actual[], since?: number): void;
}

/** Called with a short sentence while something long is under way, e.g. "pulling 45 %". */
export type Progress = (detail: string) => void;

/** Where the last use of terminals is kept, over restarts and for other processes. */
export interface ActivityRecord {
  /** How often `save` is to be called; what of it is written, and when, is its own to decide. */
  readonly intervalMs: number;
  /** What was kept. */
  load(now: number): Promise<SavedActivity>;
  /**
   * Takes the last use of all terminals that run; never rejects.
   * @param last nothing comes after this: whatever is not written yet is
   */
  save(terminals: ReadonlyMap<TerminalName, number>, now: number, last?: boolean): Promise<void>;
}

export interface SavedActivity {
  /** The last activity known of a terminal, or null when nothing was saved of it. Epoch milliseconds. */
  lastActivityAt(name: TerminalName): number | null;
}

/** Where it is kept how the policies' revisions fare, over restarts and for other processes. */
export interface RevisionRecord {
  /** What was kept. Never rejects. */
  load(): Promise<ReadonlyMap<PolicyId, Revisions>>;
  /** Makes this change, once, to what is known by then of a policy; one that gives the same object is none. */
  change(policy: PolicyId, change: (known: Revisions) => Revisions): void;
  /** Tells what is known of a policy whenever that changed, until the signal aborts (absent: nobody else changes it). */
  follow?(changed: (policy: PolicyId, known: Revisions) => void, signal: AbortSignal): void;
  /** Resolves when nothing is left to be written (absent: there is no waiting for that). */
  saved?(): Promise<void>;
}

/** Other processes that use the same terminals, with which this one acts as one. */
export interface Peers {
  /** Whether this one sees to what nobody waits for; no two do at the same time. */
  readonly leads: boolean;
  /** Stands for it until the signal aborts, and calls back whenever `leads` changed. */
  stand(changed: () => void, signal: AbortSignal): void;
  /** Has the others, too, read their policies and look at everything now; whoever can't be told looks when it is due. */
  ask(): void;
  /** Calls back when one of the others asks for that, or somebody by hand. */
  onAsked(listener: () => void): void;
}

export interface Backend {
  readonly kind: BackendKind;
  /** What of this backend's configuration belongs into a workload's revision, e.g. its networks and extra mounts. */
  readonly platform: Readonly<Record<string, string>>;
  /** What a policy may ask and this backend does not enforce, in words for the status ("cpu limit", …). */
  readonly unenforced: readonly string[];
  /** Where its terminals' last use is kept; absent: with this process. */
  readonly activity?: ActivityRecord;
  /** Where it is kept how revisions fare; absent: with this process. */
  readonly revisions?: RevisionRecord;
  /** Absent: there are none, this process does what nobody asked for. */
  readonly peers?: Peers;
  /** Several processes may use it at the same time; since when a home is clean is in what it observes (`Actual.clean`). */
  readonly shared?: true;
  /** How many terminals may be worked on at once; absent: as many as one machine stands. */
  readonly concurrency?: number;

  /**
   * Everything that is there now, straight from the engine.
   * @param user whose terminals are asked for; those of others may be left out, where that is less work
   * @throws EngineUnavailableError
   */
  list(signal: AbortSignal, user?: UserId): Promise<readonly Actual[]>;
  /** Whose terminals `list` left out though they are there, in a sentence; null: nobody's are known (absent: none ever). */
  unlisted?(): string | null;
  /** One terminal, straight from the engine; undefined when there is none. */
  inspect(key: TerminalKey, signal: AbortSignal): Promise<Actual | undefined>;
  /** Reports changes until the signal aborts; reconnects by itself and says `relisted` after a gap. */
  watch(listener: BackendListener, signal: AbortSignal): void;

  /**
   * Makes what a workload needs before any of its terminals starts (a Docker image). Joined for equal workloads.
   * @throws ImagePullError, EngineUnavailableError
   */
  prepare(workload: Workload, progress: Progress, signal: AbortSignal): Promise<void>;
  /**
   * Told of all workloads that terminals may be made from, whenever that changes and once in a while: removes what `prepare`
   * made for others and no terminal needs (absent: `prepare` makes nothing that is worth making ahead).
   * @throws EngineUnavailableError
   */
  collect?(workloads: readonly Workload[], signal: AbortSignal): Promise<void>;
  /** What is wrong with a workload though its terminals start, or will be when they do, in a sentence; null: nothing is known. */
  trouble?(workload: Workload): string | null;
  /**
   * Makes and starts it and waits until it is healthy. One that is there already, is ours, of this revision and running is
   * adopted; any other of that name is removed first. The home is made if it is missing, never emptied.
   * @throws StartTimeoutError, StartFailedError, ImagePullError, EngineUnavailableError
   */
  create(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal>;
  /**
   * Makes a terminal that is nobody's (`nobody` in terminal/names.ts), and runs with the wanted revision, this user's for good:
   * under no other key, and never anybody else's again (absent: none is kept ready before it is asked for).
   * @returns null where that is not possible, and it does not run any more, or the user has a terminal already: one is to be
   *   created then
   * @throws EngineUnavailableError
   */
  claim?(warm: RunningTerminal, desired: Desired, signal: AbortSignal): Promise<RunningTerminal | null>;
  /** Starts a stopped one, or waits for one that is starting, until it is healthy. Errors as `create`. */
  start(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal>;
  /**
   * Makes a terminal anew from another workload, where that is one step (absent: `remove`, then `create`). Errors as
   * `create`.
   */
  replace?(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal>;
  /** Changes limits and settings of a running terminal in place. */
  update(desired: Desired, signal: AbortSignal): Promise<Actual>;
  /** Stops it and keeps it with its home; one that is not there is no error. */
  stop(key: TerminalKey, signal: AbortSignal): Promise<void>;
  /** Removes it; its home too only with `files`. One that is not there is no error. */
  remove(key: TerminalKey, what: { readonly files: boolean }, signal: AbortSignal): Promise<void>;

  /**
   * Removes a terminal, or stops it where it can be replaced in one step, and empties its home, but for these paths in it
   * (absent: it can't, and no schedule is followed).
   * Nothing outside of the home is touched, whatever links are in it. One that is not there may have a home all the same.
   * @throws StartFailedError where something can't be removed: then the terminal is stopped, and is reset at the next try
   */
  reset?(desired: Desired, keep: readonly string[], signal: AbortSignal): Promise<void>;

  /** Releases connections and timers; terminals go on running. */
  close(): Promise<void>;
}
