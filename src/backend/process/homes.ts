/**
 * The homes of terminals as processes: as for containers, with their users' uids and pip packages.
 * @module
 */
import { access, chmod, constants, mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { StartFailedError } from '../../errors.ts';
import type { Desired } from '../../terminal/terminal.ts';
import { makeHome } from '../home.ts';
import { masked } from '../masked.ts';
import { makeEnvironment, PythonEnvironmentError } from './python-environment.ts';
import { run } from './run.ts';

const changeOwnerTimeoutMs = 60_000;

export interface HomeOrder {
  readonly dataDir: string;
  /** Where the home is if it need not outlive the terminal: what a persistent one holds is never touched. */
  readonly passingHome: string;
  readonly uid: number | null;
}

/**
 * Makes the home of a terminal, or takes the one that is there, and sees to it that its user may write in it.
 * @throws StartFailedError
 */
export async function prepareHome(desired: Desired, order: HomeOrder, signal: AbortSignal): Promise<string> {
  const { uid } = order;
  const home = await homeOf(desired, order);
  if (uid === null) {
    await access(home, constants.R_OK | constants.W_OK | constants.X_OK).catch((cause: unknown) => {
      throw new StartFailedError(
        `Terminals may not write to ${home}.`,
        'Give the folder to the user that runs Terminals.',
        { cause },
      );
    });
    return home;
  }
  await letPass(path.dirname(home));
  if ((await stat(home)).uid === uid) return home;
  // Made before its user had a uid of their own, or by another backend.
  const options = {
    env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin' },
    cwd: '/',
    signal,
    timeoutMs: changeOwnerTimeoutMs,
  };
  const given = await run('chown', ['-hR', `${uid}:${uid}`, home], options);
  if (given.exitCode === 0) return home;
  throw new StartFailedError(
    `${home} can't be given to its user: ${given.lines.at(-1)}.`,
    'Check the file system of the data directory.',
  );
}

async function homeOf({ key, workload }: Desired, { dataDir, passingHome, uid }: HomeOrder): Promise<string> {
  if (workload.persistent) return makeHome(dataDir, key, uid === null ? null : { uid, gid: uid });
  await mkdir(passingHome, { recursive: true, mode: 0o700 });
  return passingHome;
}

/** Lets other users go through a folder, whatever our umask was when it was made. */
export async function letPass(folder: string): Promise<void> {
  const { mode } = await stat(folder);
  if ((mode & 0o001) === 0) await chmod(folder, (mode & 0o7777) | 0o011);
}

/** Where a policy's pip packages are: an environment that comes first on the terminal's search path. */
export function pipFolder(home: string): string {
  return path.join(home, '.local/share/terminals/python');
}

export interface PipOrder {
  /** An interpreter that the terminal's user can run. */
  readonly python: string;
  readonly home: string;
  readonly packages: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly uid: number | null;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Installs a policy's pip packages into the home, as the terminal's user.
 * @throws StartFailedError with pip's last lines
 */
export async function installPipPackages(order: PipOrder): Promise<void> {
  const { python, home, packages, env, uid, timeoutMs, signal } = order;
  try {
    await makeEnvironment({
      python,
      folder: pipFolder(home),
      packages,
      options: { env, cwd: home, signal, timeoutMs, ...(uid === null ? {} : { uid }) },
      progress: () => undefined,
    });
  } catch (error) {
    if (!(error instanceof PythonEnvironmentError)) throw error;
    // No secret was given to it; but the address of an index may have a login in it.
    const said = masked(error.lines.length > 0 ? error.lines.slice(-3) : [error.message], []);
    throw new StartFailedError(
      `The pip packages of the policy can't be installed: ${said.join(' / ')}.`,
      `Check pipPackages of the policy (${packages.join(', ')}) and the network.`,
      { cause: error },
    );
  }
}
