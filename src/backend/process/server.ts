/**
 * One server of Open Terminal as a child process that outlives us.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import net from 'node:net';
import type { Writable } from 'node:stream';
import { type AccountFiles, asAccount, rootEnvironment } from './account-names.ts';
import { markerVariable } from './end-processes.ts';
import { openLog } from './state.ts';

export const loopback = '127.0.0.1';

export interface ServerOrder {
  /** The interpreter that has Open Terminal. */
  readonly python: string;
  readonly home: string;
  readonly stateFolder: string;
  readonly marker: string;
  readonly port: number;
  readonly apiKey: string;
  readonly env: Readonly<Record<string, string>>;
  /** Null: as we do. */
  readonly uid: number | null;
  /** The accounts it sees; null: the machine's own. */
  readonly accountFiles: AccountFiles | null;
}

/** `-I`: neither a file in the user's home nor a PYTHON* variable of the policy gets into the server itself. */
const moduleArguments = ['-I', '-m', 'open_terminal'];

/**
 * Takes its environment from a pipe, which no other process can see, and becomes the server. Its own beginning as root
 * is thus free of whatever a policy's variables would do there.
 */
const loader = [
  'import json, os, sys',
  'with open(3) as pipe: env = json.load(pipe)',
  'os.execve(sys.executable, [sys.executable, *sys.argv[1:]], env)',
].join('\n');

/**
 * Starts it, in a session of its own, with its output in its log.
 * @throws the system's error where it can't be started
 */
export async function startServer(order: ServerOrder): Promise<ChildProcess & { readonly pid: number }> {
  const args = [
    ...moduleArguments,
    'run',
    '--host',
    loopback,
    '--port',
    String(order.port),
    '--cwd',
    order.home,
  ];
  const env = { ...order.env, OPEN_TERMINAL_API_KEY: order.apiKey, [markerVariable]: order.marker };
  const log = await openLog(order.stateFolder);
  try {
    const child =
      order.uid !== null && order.accountFiles !== null
        ? startNamed(order, args, env, log.fd, order.uid, order.accountFiles)
        : spawn(order.python, args, {
            cwd: order.home,
            detached: true,
            env,
            stdio: ['ignore', log.fd, log.fd],
            ...(order.uid === null ? {} : { uid: order.uid, gid: order.uid }),
          });
    return await started(child);
  } finally {
    await log.close();
  }
}

function startNamed(
  { python, home, marker }: ServerOrder,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  log: number,
  uid: number,
  files: AccountFiles,
): ChildProcess {
  const [command, ...rest] = asAccount(uid, files, [python, '-I', '-c', loader, ...args]);
  const child = spawn(command, rest, {
    cwd: home,
    detached: true,
    env: { ...rootEnvironment, [markerVariable]: marker },
    stdio: ['ignore', log, log, 'pipe'],
  });
  const pipe = child.stdio[3] as Writable | null | undefined;
  // A server that ended before it read this is seen by its exit.
  pipe?.on('error', () => undefined);
  pipe?.end(JSON.stringify(env));
  return child;
}

function started(child: ChildProcess): Promise<ChildProcess & { readonly pid: number }> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('spawn', () => {
      if (!hasPid(child)) return;
      child.unref();
      resolve(child);
    });
  });
}

function hasPid(child: ChildProcess): child is ChildProcess & { readonly pid: number } {
  return child.pid !== undefined;
}

/** A port of the loopback address that is free at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen(0, loopback, () => {
      const address = server.address();
      server.close(() => {
        if (typeof address === 'object' && address !== null) resolve(address.port);
        else reject(new Error('no port is free'));
      });
    });
  });
}
