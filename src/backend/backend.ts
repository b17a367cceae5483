/**
 * What runs terminals. The reconciler knows only this interface; `docker/` and `process/` answer it.
 * @module
 */
import type { Actual, Desired, RunningTerminal, TerminalKey, Workload } from '../terminal/terminal.ts';

export type BackendKind = 'docker' | 'process' | 'kubernetes-operator';

/** Told of anything that may have changed; the receiver looks again, it never trusts the event's content. */
export interface BackendListener {
  /** This terminal changed: here is what it is now (undefined: gone). */
  changed(key: TerminalKey, actual: Actual | undefined): void;
  /** The event stream was lost and is back: everything was listed again. */
  relisted(all: readonly Actual[]): void;
}

/** Called with a short sentence while something long is under way, e.g. "pulling 45 %". */
export type Progress = (detail: string) => void;

export interface Backend {
  readonly kind: BackendKind;
  /** What of this backend's configuration belongs into a workload's revision, e.g. its networks and extra mounts. */
  readonly platform: Readonly<Record<string, string>>;
  /** What a policy may ask and this backend does not enforce, in words for the status ("cpu limit", …). */
  readonly unenforced: readonly string[];

  /**
   * Everything that is there now, straight from the engine.
   * @throws EngineUnavailableError
   */
  list(signal: AbortSignal): Promise<readonly Actual[]>;
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
   * Makes and starts it and waits until it is healthy. One that is there already, is ours, of this revision and running is
   * adopted; any other of that name is removed first. The home is made if it is missing, never emptied.
   * @throws StartTimeoutError, StartFailedError, ImagePullError, EngineUnavailableError
   */
  create(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal>;
  /** Starts a stopped one, or waits for one that is starting, until it is healthy. Errors as `create`. */
  start(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal>;
  /** Changes limits of a running terminal in place. */
  update(desired: Desired, signal: AbortSignal): Promise<Actual>;
  /** Stops it and keeps it with its home; one that is not there is no error. */
  stop(key: TerminalKey, signal: AbortSignal): Promise<void>;
  /** Removes it; its home too only with `files`. One that is not there is no error. */
  remove(key: TerminalKey, what: { readonly files: boolean }, signal: AbortSignal): Promise<void>;

  /** Releases connections and timers; terminals go on running. */
  close(): Promise<void>;
}
