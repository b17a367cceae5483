/**
 * The git program, run without a shell and with nothing of the surroundings: no configuration of the machine or the user, no
 * hooks, no prompts, one protocol, bounded in time, in what it says and in what it stores.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';

export interface GitRun {
  readonly args: readonly string[];
  /** `git -c`, by the environment, so that no secret is in the arguments. */
  readonly config?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** The one protocol it may speak; absent: none. */
  readonly protocol?: string;
  readonly input?: string;
  readonly timeoutMs: number;
  readonly mostOutputBytes?: number;
  /** A directory that may not grow beyond that. */
  readonly store?: { readonly directory: string; readonly mostBytes: number };
  readonly signal?: AbortSignal;
}

/** Git ended otherwise than it should; the message is one line, for people, without a secret. */
export class GitError extends Error {
  override readonly name: string = 'GitError';
}

/** Git came to its end by itself, and said what is wrong. */
export class GitExitError extends GitError {
  override readonly name = 'GitExitError';
}

/** A commit was looked at, and may not be taken, however often that is done. */
export class CommitRefusedError extends GitError {
  override readonly name = 'CommitRefusedError';
}

const usualOutputBytes = 4 * 1024 * 1024;
const mostErrorBytes = 16 * 1024;
const measureMs = 100;
const longestMessage = 300;

/** Of this process: how to reach others, and nothing else. */
const passedOn = [
  'PATH',
  'HTTPS_PROXY',
  'HTTP_PROXY',
  'ALL_PROXY',
  'NO_PROXY',
  'https_proxy',
  'http_proxy',
  'all_proxy',
  'no_proxy',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'GIT_SSL_CAINFO',
];

const safeConfig: Readonly<Record<string, string>> = {
  'core.hooksPath': '/dev/null',
  'core.fsmonitor': 'false',
  'core.askPass': '',
  'credential.helper': '',
  'submodule.recurse': 'false',
  'fetch.recurseSubmodules': 'false',
  'fetch.fsckObjects': 'true',
  'transfer.bundleURI': 'false',
  'protocol.version': '2',
  'gc.auto': '0',
  'maintenance.auto': 'false',
  // A redirection could lead a token astray.
  'http.followRedirects': 'false',
  'http.lowSpeedLimit': '100',
  'http.lowSpeedTime': '20',
};

/**
 * Runs git to its end.
 * @returns what it wrote to standard output
 * @throws GitError
 */
export async function runGit(run: GitRun): Promise<Buffer> {
  const { args, timeoutMs, mostOutputBytes = usualOutputBytes, store, signal } = run;
  const child = spawn('git', args, {
    env: environmentOf(run),
    // A group of its own, so that what git starts (ssh, a remote helper) ends with it.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let ended: GitError | null = null;
  const end = (why: GitError) => {
    ended ??= why;
    if (child.pid !== undefined && child.exitCode === null) killGroup(child.pid);
  };
  const timer = setTimeout(() => end(new GitError(`git took longer than ${timeoutMs / 1000} s`)), timeoutMs);
  const measuring = store && measure(store.directory, store.mostBytes, end);
  const aborted = () => end(new GitError('shutting down'));
  if (signal?.aborted) aborted();
  signal?.addEventListener('abort', aborted, { once: true });

  const output: Buffer[] = [];
  let size = 0;
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > mostOutputBytes)
      end(new CommitRefusedError('git said more than a repository of policies has'));
    else output.push(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString('utf8')).slice(-mostErrorBytes);
  });
  // It may end without having read all of it.
  child.stdin.on('error', () => undefined);
  child.stdin.end(run.input ?? '');
  try {
    const { code, by } = await endOf(child);
    if (ended !== null) throw ended;
    if (by !== null) throw new GitError(`git was ended by signal ${by}`);
    if (code !== 0) throw new GitExitError(messageOf(errors, code));
    if (store && (await sizeOf(store.directory)) > store.mostBytes)
      throw new GitError(tooLarge(store.mostBytes));
    return Buffer.concat(output);
  } catch (error) {
    throw error instanceof GitError ? error : new GitError(notStarted(error));
  } finally {
    clearTimeout(timer);
    measuring?.stop();
    signal?.removeEventListener('abort', aborted);
  }
}

interface End {
  readonly code: number | null;
  /** The signal that ended it; null: none did. */
  readonly by: NodeJS.Signals | null;
}

function endOf(child: ChildProcess): Promise<End> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, by) => resolve({ code, by }));
  });
}

function environmentOf({ config = {}, env = {}, protocol = '' }: GitRun): Record<string, string> {
  const kept = passedOn.flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]],
  );
  const settings = Object.entries({ ...safeConfig, ...config });
  const counted = settings.flatMap(([name, value], index) => [
    [`GIT_CONFIG_KEY_${index}`, name],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ]);
  return {
    ...Object.fromEntries(kept),
    // No configuration of a user, no keys of theirs.
    HOME: '/nonexistent',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_TERMINAL_PROMPT: '0',
    // Where it is set, everything else is forbidden, whatever protocol.* says.
    GIT_ALLOW_PROTOCOL: protocol === '' ? 'none' : protocol,
    ...env,
    GIT_CONFIG_COUNT: String(settings.length),
    ...Object.fromEntries(counted),
  };
}

/** Git has no bound of its own for what it fetches. */
function measure(directory: string, mostBytes: number, end: (why: GitError) => void): { stop: () => void } {
  let busy = false;
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    void sizeOf(directory).then((size) => {
      busy = false;
      if (size > mostBytes) end(new GitError(tooLarge(mostBytes)));
    });
  }, measureMs);
  return { stop: () => clearInterval(timer) };
}

function tooLarge(mostBytes: number): string {
  return `the repository has more than ${mostBytes / 1024 / 1024} MiB`;
}

/** What the files below a directory take; what goes while it is counted does not count. */
async function sizeOf(directory: string): Promise<number> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch(() => []);
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map((entry) =>
      stat(path.join(entry.parentPath, entry.name)).then(
        ({ size }) => size,
        () => 0,
      ),
    );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

/** Git's own words: the first that says what failed, else the last. */
function messageOf(errors: string, code: number | null): string {
  const lines = errors
    .split('\n')
    .map((line) => line.replace(/\p{Cc}/gu, ' ').trim())
    .filter((line) => line !== '' && !line.startsWith('hint:') && !line.startsWith('warning:'));
  const said =
    lines.find((line) => /^(?:fatal|error|ERROR):/.test(line) && !/Could not read from remote/.test(line)) ??
    lines.at(-1) ??
    `git ended with code ${code}`;
  if (/could not read (?:Username|Password)|Authentication failed/.test(errors)) {
    return 'the server asks for a token, or refuses the one it got';
  }
  return said
    .replace(/^(?:fatal|error|ERROR): /, '')
    .replace(/\/\/[^/@\s]*@/g, '//')
    .slice(0, longestMessage);
}

/** What the system calls an error, such as ENOENT. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

function notStarted(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'the git program is not installed';
  return `git could not be started (${error instanceof Error ? error.message : error})`;
}
