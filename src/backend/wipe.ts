/**
 * Emptying a home but for what its policy keeps. Users made what is in there, so: nothing outside is ever touched, whatever
 * links they made, and however they move things about meanwhile.
 * @module
 */
import { lstat, rmdir } from 'node:fs/promises';
import { StartFailedError } from '../errors.ts';
import { run } from './process/run.ts';

/** A home may hold millions of files. */
const wipeTimeoutMs = 600_000;

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
    if (left === null) return removeIfEmpty(home);
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
async function removeIfEmpty(home: string): Promise<void> {
  try {
    await rmdir(home);
  } catch (error) {
    if (!isCode(error, 'ENOTEMPTY') && !isCode(error, 'EEXIST') && !isCode(error, 'ENOENT')) throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** What stays in a folder: whole, or as a folder of which something stays. */
interface Level {
  /** From the home; empty: the home itself. */
  readonly path: string;
  readonly whole: Set<string>;
  readonly folders: Set<string>;
}

/** Folder by folder, the outer ones first. What is in a path that is kept needs not be named. */
function levelsOf(keep: readonly string[]): readonly Level[] {
  const levels = new Map<string, Level>();
  const levelOf = (path: string): Level => {
    const level = levels.get(path) ?? { path, whole: new Set(), folders: new Set() };
    levels.set(path, level);
    return level;
  };
  levelOf('');
  const paths = keep.map((path) => path.replace(/\/$/, '').split('/')).sort((a, b) => a.length - b.length);
  for (const parts of paths) {
    let level = levelOf('');
    for (const [index, part] of parts.entries()) {
      if (level.whole.has(part)) break;
      if (index === parts.length - 1) level.whole.add(part);
      else {
        level.folders.add(part);
        level = levelOf(level.path === '' ? part : `${level.path}/${part}`);
      }
    }
  }
  return [...levels.values()].sort((a, b) => a.path.split('/').length - b.path.split('/').length);
}

/**
 * A shell script that empties the folder it runs in, for any user and any POSIX shell. `find` and `rm` work below the folder
 * they are in and follow no link; that this is the folder which is meant is asked after it was entered, since it may be
 * exchanged until then. Exits with 0 only when nothing but what is kept is left.
 */
export function wipeScript(keep: readonly string[]): string {
  const levels = levelsOf(keep).map(({ path, whole, folders }) => {
    const stays = [
      ...[...whole].map((name) => `! -name ${quoted(pattern(name))}`),
      ...[...folders].map((name) => `! '(' -type d -name ${quoted(pattern(name))} ')'`),
    ];
    return `level ${quoted(path)} ${stays.join(' ')}`.trimEnd();
  });
  return `home=$(pwd -P && echo /) && home=\${home%?/} || exit 1
failed=0
inside() {
  cd -- "$1" 2>/dev/null || { chmod u+rwx "$1" && cd -- "$1"; } || return 1
  here=$(pwd -P && echo /) && here=\${here%?/} || return 1
  [ "$here" = "$2" ] || { echo "$1 was exchanged" >&2; return 1; }
  shift 2
  find . -mindepth 1 -maxdepth 1 "$@" -exec rm -rf -- {} + && return
  [ "$(id -u)" != 0 ] || return 1
  chmod u+rwx . 2>/dev/null
  find . -mindepth 1 -maxdepth 1 "$@" -type d -exec chmod -R u+rwX -- {} + 2>/dev/null
  find . -mindepth 1 -maxdepth 1 "$@" -exec rm -rf -- {} +
}
level() {
  path=$1
  shift
  [ -z "$path" ] || { [ -d "./$path" ] && [ ! -L "./$path" ]; } || return 0
  ( inside "./$path" "$home\${path:+/$path}" "$@" ) || failed=1
}
${levels.join('\n')}
exit $failed
`;
}

/** One word of a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** What matches this name only. */
function pattern(name: string): string {
  return name.replace(/[\\*?[\]]/g, '\\$&');
}
