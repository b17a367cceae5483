/** Starts the program as its users do: as a process of its own, through the command line. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const launcher = path.join(root, 'src/terminals.js');
export const key = 'the-shared-key';

export interface RunningProgram {
  readonly url: string;
  readonly child: ChildProcess;
  /** All it has written so far. */
  log(): string;
  /** SIGTERM, and waits for the end. */
  stop(): Promise<void>;
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>;
}

/** A folder of the test's own, removed by `cleanUp`. */
export async function temporaryFolder(): Promise<string> {
  return mkdtemp(path.join(os.tmpdir(), 'terminals-test-'));
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

/** Environment of the tests without what configures Terminals. */
export function environment(extra: Record<string, string>): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('TERMINALS_'));
  return { ...Object.fromEntries(inherited), ...extra };
}

/** `terminals serve` with these variables; resolves when it is ready. */
export async function serve(
  extra: Record<string, string>,
  args: readonly string[] = [],
): Promise<RunningProgram> {
  const env = environment({
    TERMINALS_API_KEY: key,
    TERMINALS_HOST: '127.0.0.1',
    TERMINALS_PORT: '0',
    ...extra,
  });
  const child = spawn(process.execPath, [launcher, 'serve', ...args], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stdout.on('data', (chunk) => {
    log += chunk;
  });
  child.stderr.on('data', (chunk) => {
    log += chunk;
  });
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  };
  const listening = waitFor(
    () => /"url":"(http:[^"]+)"/.exec(log)?.[1],
    300_000,
    () => {
      assert.equal(child.exitCode, null, `the program ended:\n${log}`);
      return log;
    },
  );
  const url = await listening.catch(async (error: unknown) => {
    await end('SIGKILL');
    throw error;
  });
  return { url, child, log: () => log, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
}

/** Runs another command of the program to its end. */
export async function command(
  args: readonly string[],
  extra: Record<string, string>,
): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [launcher, ...args], { cwd: root, env: environment(extra) });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, out, err };
}

/** Asks again until there is an answer. */
export async function waitFor<T>(
  ask: () => T | undefined | Promise<T | undefined>,
  timeoutMs: number,
  describe: () => string = () => '',
): Promise<T> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    const state = describe();
    assert.ok(performance.now() < until, `nothing came within ${timeoutMs} ms: ${state}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Open WebUI's requests in the name of one user. */
export function asUser(program: { url: string }, user: string, policy?: string) {
  const base = policy === undefined ? program.url : `${program.url}/p/${policy}`;
  const headers = { authorization: `Bearer ${key}`, 'x-user-id': user };
  const request = (target: string, init: RequestInit = {}) =>
    fetch(`${base}${target}`, { ...init, headers: { ...headers, ...(init.headers ?? {}) } });
  return {
    request,
    /** Runs a shell command to its end and gives what it printed. */
    async execute(text: string): Promise<string> {
      const response = await request('/execute?wait=20', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ command: text }),
      });
      const body = await response.text();
      assert.equal(response.status, 200, `${body} (${JSON.stringify([...response.headers])})`);
      const result = JSON.parse(body);
      assert.equal(result.status, 'done', body);
      return result.output
        .map(({ data }: { data: string }) => data)
        .join('')
        .replaceAll('\r\n', '\n')
        .trim();
    },
  };
}
