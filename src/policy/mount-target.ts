/** Where in a terminal something may be mounted. @module */

const homeDirectory = '/home/user';

/** Why nothing may be mounted at this path of a terminal; null where it may. */
export function mountTargetProblem(target: string): string | null {
  if (target.split('/').some((part) => part === '..' || part === '.')) return `"${target}" has . or .. in it`;
  const plain = plainPath(target);
  if (plain === '/') return "the root directory can't be a mount";
  if (
    plain === homeDirectory ||
    plain.startsWith(`${homeDirectory}/`) ||
    homeDirectory.startsWith(`${plain}/`)
  ) {
    return `"${target}" would hide the home, ${homeDirectory}`;
  }
  return null;
}

/** Without doubled or trailing slashes, so that equal paths are equal text. */
export function plainPath(path: string): string {
  return `/${path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')}`;
}
