/**
 * Running a command to its end: bounded in time, abortable with all of its children, its last lines kept.
 * @module
 */
import { spawn } from 'node:child_process';

export interface RunOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Run as this user and group instead of our own; only root can. */
  readonly uid?: number | undefined;
}

export interface Ended {
  /** Null: killed by a signal, out of time, or it could not be started. */
  readonly exitCode: number | null;
  /** What it wrote to standard output, at most the last 64 KiB. */
  readonly output: string;
  /** The last lines of both its outputs. */
  readonly lines: readonly string[];
}

const keptCharacters = 65_536;
const keptLines = 12;

/**
 * Runs a command; a failure is told by the exit code, never thrown.
 * @throws the signal's reason, after the command and its children were killed
 */
export async function run(command: string, args: readonly string[], options: RunOptions): Promise<Ended> {
  const { signal, timeoutMs, uid, ...rest } = options;
  signal.throwIfAborted();
  const child = spawn(command, args, {
    ...rest,
    // A group of its own, so that what it started ends with it.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const kill = () => killGroup(child.pid);
  const timer = setTimeout(kill, timeoutMs);
  signal.addEventListener('abort', kill, { once: true });
  let output = '';
  let all = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-keptCharacters);
    all = (all + text).slice(-keptCharacters);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    all = (all + text).slice(-keptCharacters);
  });
  try {
    const exitCode = await new Promise<number | null>((resolve) => {
      child.on('error', (error) => {
        all += `${error.message}\n`;
        resolve(null);
      });
      child.on('close', resolve);
    });
    signal.throwIfAborted();
    return { exitCode, output, lines: lastLines(all) };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', kill);
  }
}

/** The last lines of a text that are not empty. */
export function lastLines(text: string, count = keptLines): readonly string[] {
  const lines = text.split(/[\r\n]+/).map((line) => line.trimEnd());
  return lines.filter((line) => line !== '').slice(-count);
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}
