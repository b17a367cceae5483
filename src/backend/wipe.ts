/**
 * Emptying a home but for what its policy keeps. Users made what is in there, so: nothing outside is ever touched, whatever
 * links they made, and however they move things about meanwhile.
 * @module
 */
import { lstat, rmdir } from 'node:fs/promises';
import { StartFailedError } from '../errors.ts';
import { run } from './process/run.ts';
import { wipeScript } from './wipe-script.ts';

/** What one try at it may take: a home may hold millions of files. */
export const wipeTimeoutMs = 600_000;

/** One try at it; resolves to its last lines where something is left, null where it is done. */
export type Wiping = (script: string, signal: AbortSignal) => Promise<readonly string[] | null>;

/** Runs the script in the home, as another user where one is given. */
export function wipeHere(home: string, uid?: number): Wiping {
  return async (script, signal) => {
    const env = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C' };
    const options = { env, cwd: home, signal, timeoutMs: wipeTimeoutMs, uid };
    const { exitCode, lines } = await run('/bin/sh', ['-c', script], options);
    return exitCode === 0 ? null : lines;
  };
}

/**
 * Empties a home but for these paths, by the first of these ways that can; where nothing is kept the folder itself goes,
 * too. None there is no error.
 * @throws StartFailedError where something is left, or the home is no folder
 */
export async function wipe(
  home: string,
  keep: readonly string[],
  ways: readonly Wiping[],
  signal: AbortSignal,
): Promise<void> {
  if (!(await isFolder(home))) return;
  const script = wipeScript(keep);
  let lines: readonly string[] = [];
  for (const way of ways) {
    const left = await way(script, signal);
    if (left === null) return removeEmptied(home, keep.length > 0);
    lines = left;
  }
  throw new StartFailedError(
    `The home ${home} can't be emptied${lines.length > 0 ? `: ${lines.at(-1)}` : ''}.`,
    'Remove by hand what is left in it; perhaps Terminals may not remove what belongs to root.',
  );
}

async function isFolder(home: string): Promise<boolean> {
  try {
    if ((await lstat(home)).isDirectory()) return true;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false;
    throw error;
  }
  throw new StartFailedError(
    `${home} is not a directory.`,
    'Move away what is there; a home is never a link or a file.',
  );
}

/** What owner and rights it had is forgotten with it. */
async function removeEmptied(home: string, keeps: boolean): Promise<void> {
  try {
    await rmdir(home);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return;
    if (!isCode(error, 'ENOTEMPTY') && !isCode(error, 'EEXIST')) throw error;
    if (keeps) return;
    throw new StartFailedError(
      `The home ${home} was written to while it was emptied.`,
      'Try again, or stop the other terminals of its user before.',
    );
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
