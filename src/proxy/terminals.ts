/** What the proxy needs of the terminals. @module */
import type { Reached } from '../reconcile/reconciler.ts';
import type { RunningTerminal, TerminalKey } from '../terminal/terminal.ts';

/** The reconciler itself, or in a worker what the primary says. */
export interface Terminals {
  /** The terminal of a key where it runs, as far as is known; null: `reach` has to see to it. */
  running(key: TerminalKey): Reached | null;
  /**
   * The running terminal of a key, at once where it runs, else as soon as it does; it is made if there is none.
   * @throws what its start ended with, the signal's reason
   */
  reach(key: TerminalKey, signal: AbortSignal): Reached | Promise<Reached>;
  /** A connection to this terminal failed: it is looked at again before anybody is sent there. */
  suspect(key: TerminalKey, seen: RunningTerminal): void;
  /**
   * Says so where somebody stopped the terminal's clock meanwhile.
   * @throws TerminalPausedError
   */
  throwIfPaused(key: TerminalKey): void | Promise<void>;
}
