/**
 * The shell script that empties a home, wherever it is run: by this process, or in a container or Pod of its own. Pure.
 * @module
 */

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
