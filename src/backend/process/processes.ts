/**
 * The processes of this machine, from /proc where there is one, else from `ps`.
 *
 * A process id alone says nothing: ids are used again. What names a process is its id with the time it started.
 * @module
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';

export interface SystemProcess {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
  readonly uid: number;
  /** Differs between two processes that had the same id one after the other. */
  readonly born: string;
}

const linux = process.platform === 'linux';
const execute = promisify(execFile);

/** When the process of this id started; null where there is none, or only its exit code is left. */
export async function bornOf(pid: number): Promise<string | null> {
  if (linux) return bornNow(pid);
  return (await listByPs(['-p', String(pid)]))[0]?.born ?? null;
}

/** As `bornOf`, at once; Linux only, null elsewhere. */
export function bornNow(pid: number): string | null {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.born ?? null;
  } catch {
    return null;
  }
}

/** Everything that runs. */
export async function allProcesses(): Promise<readonly SystemProcess[]> {
  if (!linux) return listByPs(['-A']);
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map(readProcess));
  return found.filter((one) => one !== null);
}

async function readProcess(pid: string): Promise<SystemProcess | null> {
  try {
    const [text, { uid }] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'latin1'),
      stat(`/proc/${pid}`),
    ]);
    const parsed = parseStat(text);
    return parsed && { pid: Number(pid), uid, ...parsed };
  } catch {
    return null;
  }
}

/** Ticks since boot mean nothing after the next boot. */
const bootId = linux ? read('/proc/sys/kernel/random/boot_id').trim() : '';

/** See proc(5): the name in parentheses may hold anything, so what counts is what follows the last one. */
function parseStat(text: string): Omit<SystemProcess, 'pid' | 'uid'> | null {
  const [state, parent, , session, ...more] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = more[15];
  if (state === undefined || ticks === undefined || state === 'Z' || state === 'X') return null;
  return { parent: Number(parent), session: Number(session), born: `${bootId}:${ticks}` };
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

/** The environment a process was started with, where we may read it: all of them as root, else our own ones. */
export async function environmentOf(pid: number): Promise<readonly string[]> {
  try {
    if (linux) return (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0');
    const { stdout } = await execute('ps', ['-E', '-ww', '-o', 'command=', '-p', String(pid)]);
    return stdout.split(/\s+/);
  } catch {
    return [];
  }
}

async function listByPs(which: readonly string[]): Promise<readonly SystemProcess[]> {
  try {
    const columns = ['pid', 'ppid', 'sess', 'uid', 'stat', 'lstart'].flatMap((name) => ['-o', `${name}=`]);
    const { stdout } = await execute('ps', [...which, ...columns], { env: { ...process.env, LC_ALL: 'C' } });
    return parsePs(stdout);
  } catch {
    return [];
  }
}

/** Lines of `ps -o pid= -o ppid= -o sess= -o uid= -o stat= -o lstart=`. */
export function parsePs(text: string): readonly SystemProcess[] {
  return text.split('\n').flatMap((line) => {
    const [, pid, parent, session, uid, state, born] =
      /^\s*(\d+)\s+(\d+)\s+(\w+)\s+(\d+)\s+(\S+)\s+(\S.*?)\s*$/.exec(line) ?? [];
    if (born === undefined || state?.startsWith('Z')) return [];
    return [
      { pid: Number(pid), parent: Number(parent), session: Number(session) || 0, uid: Number(uid), born },
    ];
  });
}

/**
 * Whether this very process listens on a port of 127.0.0.1: another one may have taken the port first, and must neither
 * count as healthy nor ever see the terminal's key. Where the system doesn't tell (not Linux), it is believed.
 */
export function listensOn(pid: number, port: number): boolean {
  if (!linux) return true;
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  const sockets = new Set<string>();
  for (const line of read(`/proc/${pid}/net/tcp`).split('\n')) {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
    if (state === '0A' && local?.endsWith(`:${hexPort}`)) sockets.add(`socket:[${inode}]`);
  }
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return sockets.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}
