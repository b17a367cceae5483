/**
 * Making a Python environment with packages in it, with whichever tool this machine has.
 * @module
 */
import path from 'node:path';
import { type Ended, type RunOptions, run } from './run.ts';

export interface EnvironmentOrder {
  /** The interpreter it is made from. */
  readonly python: string;
  readonly folder: string;
  readonly packages: readonly string[];
  readonly options: RunOptions;
  /** What is being done, in a few words. */
  readonly progress: (step: 'creating the Python environment' | 'installing packages') => void;
}

/** No tool could do it: what was tried, and the last lines of the last one. */
export class PythonEnvironmentError extends Error {
  override readonly name = 'PythonEnvironmentError';
  readonly lines: readonly string[];
  /** The environment can't be made at all, whatever the packages. */
  readonly toolMissing: boolean;

  constructor(message: string, lines: readonly string[], toolMissing: boolean) {
    super(message);
    this.lines = lines;
    this.toolMissing = toolMissing;
  }
}

type Command = readonly [command: string, ...args: string[]];

/** One way: make the environment, then install. Null: this way is not open on this machine. */
interface Way {
  readonly make: Command;
  readonly install: (order: EnvironmentOrder) => Promise<Command | null>;
}

const pipInstall = ['install', '--no-input', '--disable-pip-version-check', '--no-warn-script-location'];
/** Of the shell, for a command that is not on the PATH. */
const notFound = 127;
const versionTimeoutMs = 20_000;

/** In this order; a way that fails gives way to the next. */
function waysOf({ python, folder, packages }: EnvironmentOrder): readonly Way[] {
  const own = path.join(folder, 'bin/python');
  return [
    {
      make: ['uv', 'venv', '--quiet', '--python', python, folder],
      install: async () => ['uv', 'pip', 'install', '--quiet', '--python', own, ...packages],
    },
    {
      make: [python, '-m', 'venv', folder],
      install: async () => [own, '-m', 'pip', ...pipInstall, ...packages],
    },
    {
      // Debian without python3-venv: the environment can be made, but pip has to come from outside.
      make: [python, '-m', 'venv', '--without-pip', folder],
      install: async (order) => {
        const pip = await outsidePip(order);
        return pip && [...pip, '--python', own, ...pipInstall, ...packages];
      },
    },
  ];
}

/**
 * Makes the environment anew.
 * @throws PythonEnvironmentError, or the signal's reason
 */
export async function makeEnvironment(order: EnvironmentOrder): Promise<void> {
  const failures: string[] = [];
  let last: Ended | null = null;
  let made = false;
  for (const way of waysOf(order)) {
    // As who installs: a link that a user made on the way to it leads them no further than they may go themselves.
    const emptied = await run('/bin/rm', ['-rf', '--', order.folder], order.options);
    if (emptied.exitCode !== 0)
      throw new PythonEnvironmentError(
        `${order.folder} can't be removed: ${emptied.lines.at(-1) ?? 'failed'}`,
        emptied.lines,
        false,
      );
    order.progress('creating the Python environment');
    const making = await runReadable(way.make, order.options);
    if (making.exitCode !== 0) {
      if (making.exitCode === notFound && way.make[0] === 'uv') continue;
      failures.push(`${shown(way.make)}: ${making.lines.at(-1) ?? 'failed'}`);
      last ??= making;
      continue;
    }
    const install = order.packages.length === 0 ? null : await way.install(order);
    if (install === null) {
      if (order.packages.length === 0) return;
      failures.push('no pip of version 22.3 or newer');
      continue;
    }
    made = true;
    order.progress('installing packages');
    last = await runReadable(install, order.options);
    if (last.exitCode === 0) return;
    failures.push(`${shown(install)}: ${last.lines.at(-1) ?? 'failed'}`);
    // pip has spoken: another pip would say the same.
    if (way.make[0] !== 'uv') break;
  }
  throw new PythonEnvironmentError(failures.join('; '), last?.lines ?? [], !made);
}

/** A pip of this machine that can install into another environment. */
async function outsidePip({ python, options }: EnvironmentOrder): Promise<Command | null> {
  const known: readonly Command[] = [[python, '-m', 'pip'], ['pip3'], ['pip']];
  for (const [command, ...args] of known) {
    const { exitCode, output } = await run(command, [...args, '--version'], {
      ...options,
      timeoutMs: versionTimeoutMs,
    });
    const [, major = '0', minor = '0'] = /^pip (\d+)\.(\d+)/.exec(output) ?? [];
    const canDoIt = Number(major) > 22 || (Number(major) === 22 && Number(minor) >= 3);
    if (exitCode === 0 && canDoIt) return [command, ...args];
  }
  return null;
}

/** What is installed must be readable by every user, whatever our own umask is. */
function runReadable([command, ...args]: Command, options: RunOptions): Promise<Ended> {
  return run('/bin/sh', ['-c', 'umask 022; exec "$@"', 'sh', command, ...args], options);
}

function shown([command, ...args]: Command): string {
  return [path.basename(command), ...args.slice(0, 2)].join(' ');
}
