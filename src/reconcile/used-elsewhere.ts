/** Uses of terminals by other processes of this program. @module */
import type { TerminalName } from '../terminal/terminal.ts';

/** Uses of terminals that this process does not see by itself. */
export interface UsedElsewhere {
  /** Whether somebody may begin to use it without being seen. */
  isHeld(name: TerminalName): boolean;
  /** Resolves when all its use is known; none begins before whoever waits for this has gone on. */
  recall(name: TerminalName): Promise<void>;
}
