/** A program with two workers, each in a process of its own, and a terminal's server in the test's. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Answer, asAlice, send, sharedKey, startUpstream, type Upstream } from '../proxy/stack.ts';
import { temporaryFolder, until } from '../reconcile/harness.ts';

const script = fileURLToPath(new URL('serve-in-memory.ts', import.meta.url));
/** Starting three processes takes a while on a machine that is busy. */
const patienceMs = 60_000;

export type Line = Record<string, unknown>;

export interface ServedByWorkers {
  readonly port: number;
  readonly upstream: Upstream;
  readonly child: ChildProcess;
  readonly folder: string;
  /** The lines of its log so far. */
  lines(): readonly Line[];
  /** Waits for a line. */
  line(is: (line: Line) => boolean, what: string): Promise<Line>;
  /** Ids of the worker processes that listened, in order. */
  pids(): readonly number[];
  /** The same request over so many connections (`manyConnections`) that hardly ever only one worker has had all of them. */
  byEach(target: string, headers?: Record<string, string>): Promise<readonly Answer[]>;
  /** Sends the signal; resolves with the exit code when it has ended. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

export interface ServeOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Texts of policy files by name. */
  readonly files?: Readonly<Record<string, string>>;
  /** False: it is expected to end by itself. */
  readonly listens?: boolean;
}

export const workers = 2;
/** The kernel gives each connection to one of the workers, by chance. */
export const manyConnections = 16;

export async function servedByWorkers(t: TestContext, options: ServeOptions = {}): Promise<ServedByWorkers> {
  const folder = await temporaryFolder();
  const upstream = await startUpstream(t);
  await mkdir(path.join(folder, 'policies'));
  for (const [name, text] of Object.entries(options.files ?? {}))
    await writeFile(path.join(folder, 'policies', name), text);
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('TERMINALS_'));
  const env = {
    ...Object.fromEntries(inherited),
    TERMINALS_BACKEND: 'process',
    TERMINALS_API_KEY: sharedKey,
    TERMINALS_HOST: '127.0.0.1',
    TERMINALS_PORT: '0',
    TERMINALS_WORKERS: String(workers),
    TERMINALS_POLICIES_DIR: 'policies',
    TERMINALS_DATA_DIR: 'data',
    TERMINALS_TEST_UPSTREAM: String(upstream.port),
    NODE_COMPILE_CACHE: path.join(os.tmpdir(), 'node-compile-cache'),
    ...options.env,
  };
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const child = spawn(process.execPath, [script], {
    cwd: folder,
    env: set,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout?.on('data', (chunk) => {
    text += chunk;
  });
  const exited = once(child, 'exit');
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    await exited;
    return child.exitCode;
  };
  t.after(() => end('SIGTERM'));
  const lines = (): readonly Line[] =>
    text.split('\n').flatMap((line, index, all) => (index < all.length - 1 ? [JSON.parse(line)] : []));
  const line = async (is: (line: Line) => boolean, what: string) => {
    await until(() => lines().some(is) || child.exitCode !== null, what, patienceMs);
    return lines().find(is) ?? assert.fail(`it ended without ${what}:\n${text}`);
  };
  const url =
    options.listens === false ? '' : (await line(({ msg }) => msg === 'listening', 'listening')).url;
  const port = url === '' ? 0 : Number(new URL(String(url)).port);
  return {
    port,
    upstream,
    child,
    folder,
    lines,
    line,
    pids: () => lines().flatMap(({ msg, pid }) => (msg === 'worker listens' ? [Number(pid)] : [])),
    byEach: async (target, headers = asAlice) => {
      const answers: Answer[] = [];
      for (let count = 0; count < manyConnections; count += 1)
        answers.push(await send({ port }, target, { headers }));
      return answers;
    },
    end,
  };
}
