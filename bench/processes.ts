/** Processes that the bench starts, and only those: started, watched, measured, ended. @module */
import { type ChildProcess, execFile, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/**
 * Where there is a core to spare for each of load, proxy and upstream, the proxy keeps to its own; below that, pinning
 * would only starve one of them, and the kernel shares better.
 */
const pinned = os.availableParallelism() >= 4;

/** Starts what is measured. */
export function start(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  const [name, ...all] = pinned ? ['taskset', '-c', '0', command, ...args] : [command, ...args];
  return spawn(name ?? command, all, options);
}

/** Runs a command to its end. @returns what it printed */
export async function run(command: string, args: readonly string[], timeoutMs = 60_000): Promise<string> {
  const { stdout } = await execute(command, args, { timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 });
  return stdout.trim();
}

/** Runs a load, away from the proxy's core where there is one to spare. */
export function load(command: string, args: readonly string[], timeoutMs?: number): Promise<string> {
  if (!pinned) return run(command, args, timeoutMs);
  return run('taskset', ['-c', `1-${os.availableParallelism() - 1}`, command, ...args], timeoutMs);
}

/** Ends a process that we started, kindly, then not. */
export async function end(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  const late = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await ended;
  clearTimeout(late);
}

/** Asks again until there is an answer. */
export async function until<T>(
  ask: () => T | undefined | Promise<T | undefined>,
  timeoutMs: number,
  what: string,
  everyMs = 5,
): Promise<T> {
  const limit = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > limit) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  if (port === undefined) throw new Error('no port');
  return port;
}

/** As many as that, all of them different. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => net.createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const addresses = servers.map((server) => server.address());
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return addresses.flatMap((address) => (typeof address === 'object' && address ? [address.port] : []));
}

/** Resident memory of a process in bytes, and the most it had since `resetPeak`. */
export function memory(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024;
  return { now: field('VmRSS'), peak: field('VmHWM') };
}

/** Milliseconds of CPU that a process and its children have used, in user space and kernel; in steps of 10. */
export function cpuUsed(pid: number): number {
  // After the name, which may hold anything but ends with the last bracket: state is field 3, utime 14, stime 15.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter(Boolean);
  const own = (Number(fields[11]) + Number(fields[12])) * 10;
  return children.reduce((sum, child) => sum + cpuUsed(Number(child)), own);
}

/** Forgets the kernel's high-water mark of a process. */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}
