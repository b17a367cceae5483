/**
 * What a command of the `terminals` program is made of.
 * @module
 */
import type { ParseArgsOptionsConfig } from 'node:util';

/** The outside world as a command sees it; handed in, so that tests can run a command in-process. */
export interface Io {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Standard output is a terminal that wants colours (NO_COLOR respected). */
  readonly colour: boolean;
  /** Standard output is a terminal, where lines can be drawn over. */
  readonly live?: boolean;
  /** Aborted by SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
}

export type OptionValues = Readonly<
  Record<string, string | boolean | readonly (string | boolean)[] | undefined>
>;

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** The whole help text: usage, options, exit codes. */
  readonly help: string;
  readonly options: ParseArgsOptionsConfig;
  /** It takes words beside its options; absent: a word is one too many. */
  readonly words?: true;
  /** Where the call's words are off; absent: 2. */
  readonly usageExitCode?: number;
  /** @returns the exit code: 0 done, 1 it failed, 2 the call's words are off (thrown as UsageError). */
  run(values: OptionValues, positionals: readonly string[], io: Io): Promise<number>;
}

/** The call's words are off; printed in one sentence with a pointer to --help, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
