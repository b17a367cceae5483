/**
 * A name for a terminal's uid, so that `whoami`, ssh and git work in it: without one they refuse or complain.
 *
 * The system's own accounts stay as they are: the terminal sees its own /etc/passwd and /etc/group in a mount namespace.
 * @module
 */
import { chmod, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** As in the image of Open Terminal. */
export const accountName = 'user';

export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
}

export interface Account {
  /** Where the files are written; everybody must be able to enter it. */
  readonly folder: string;
  readonly uid: number;
  readonly home: string;
  readonly shell: string;
}

/** Writes this machine's accounts with one more for the terminal. */
export async function writeAccountFiles({ folder, uid, home, shell }: Account): Promise<AccountFiles> {
  const files = { passwd: path.join(folder, 'passwd'), group: path.join(folder, 'group') };
  const field = (text: string) => text.replace(/[:\n]/g, '_');
  const lines = {
    passwd: `${accountName}:x:${uid}:${uid}::${field(home)}:${field(shell)}`,
    group: `${accountName}:x:${uid}:`,
  };
  for (const kind of ['passwd', 'group'] as const) {
    const system = await readFile(`/etc/${kind}`, 'utf8').catch(() => '');
    const others = system.split('\n').filter((line) => line !== '' && !line.startsWith(`${accountName}:`));
    await writeFile(files[kind], `${[...others, lines[kind]].join('\n')}\n`, { mode: 0o644 });
    await chmod(files[kind], 0o644);
  }
  return files;
}

const script = [
  'mount --bind "$1" /etc/passwd',
  'mount --bind "$2" /etc/group',
  'uid=$3',
  'shift 3',
  'exec setpriv --reuid "$uid" --regid "$uid" --clear-groups --inh-caps=-all -- "$@"',
].join(' && ');

/** What `asAccount` may begin with. */
export const rootEnvironment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };

/**
 * The command that runs another as an account; one and the same process from beginning to end. It begins as root, so its
 * environment must hold nothing that comes from a policy or a user.
 */
export function asAccount(
  uid: number,
  { passwd, group }: AccountFiles,
  command: readonly string[],
): readonly [string, ...string[]] {
  const shell = ['/bin/sh', '-c', script, 'sh', passwd, group, String(uid), ...command];
  return ['/usr/bin/unshare', '--mount', '--propagation', 'slave', '--', ...shell];
}
