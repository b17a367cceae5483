/** The whole program over a backend in memory, with real policy files and a real socket, and an administrator's client. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { formatProblem, loadConfig } from '../../src/config.ts';
import { Program } from '../../src/program.ts';
import type { RunningTerminal } from '../../src/terminal/terminal.ts';
import { type Answer, send } from '../proxy/stack.ts';
import { capturedLog, keyOf, temporaryFolder } from '../reconcile/harness.ts';
import { MemoryBackend } from '../reconcile/memory-backend.ts';

export const adminKey = 'the-administrators-key';
export const sharedKey = 'the-shared-key';
export const asAdmin = { authorization: `Bearer ${adminKey}` };

export interface AdminStack {
  readonly port: number;
  readonly program: Program;
  readonly backend: MemoryBackend;
  readonly cwd: string;
  readonly lines: readonly Record<string, unknown>[];
  logText(): string;
  /** A request below /api/v1, as JSON; with the admin key, unless other headers are given. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<JsonAnswer>;
  /** The text of a policy file. */
  text(name: string): Promise<string>;
  /** Has a terminal run. */
  run(user: string, policy?: string, context?: string | null): Promise<RunningTerminal>;
}

export interface JsonAnswer extends Answer {
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into it by assertions.
  readonly json: any;
}

export interface AdminStackOptions {
  /** Variables beside the two keys; an empty one unsets. */
  readonly env?: Record<string, string>;
  /** Texts of policy files by name; null: there is no directory. */
  readonly files?: Readonly<Record<string, string>> | null;
  /** Of a program that ended, to begin anew there; absent: a new one. */
  readonly cwd?: string;
}

export async function adminStack(t: TestContext, options: AdminStackOptions = {}): Promise<AdminStack> {
  const { env = {}, files = {} } = options;
  const { cwd = await temporaryFolder() } = options;
  if (files !== null) await mkdir(path.join(cwd, 'policies'), { recursive: true });
  for (const [name, text] of Object.entries(files ?? {})) {
    await writeFile(path.join(cwd, 'policies', name), text);
  }
  const config = configOf(cwd, env);
  const backend = new MemoryBackend();
  const { log, lines, text: logText } = await capturedLog();
  const program = new Program({ config, backend, log, cwd, version: '1.2.3' });
  const url = await program.start();
  t.after(() => program.close());
  const port = Number(new URL(url).port);
  return {
    port,
    program,
    backend,
    cwd,
    lines,
    logText,
    call: (method, below, body, headers = asAdmin) => call(port, method, below, body, headers),
    text: (name) => readFile(path.join(cwd, 'policies', name), 'utf8'),
    run: async (user, policy, context) => {
      const { signal } = new AbortController();
      return (await program.reconciler.reach(keyOf(user, policy, context ?? null), signal)).terminal;
    },
  };
}

function configOf(cwd: string, env: Record<string, string>) {
  const all = {
    TERMINALS_BACKEND: 'process',
    TERMINALS_API_KEY: sharedKey,
    TERMINALS_ADMIN_KEY: adminKey,
    TERMINALS_HOST: '127.0.0.1',
    TERMINALS_PORT: '0',
    TERMINALS_DATA_DIR: path.join(cwd, 'data'),
    ...env,
  };
  const set = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
  const loaded = loadConfig(set, { dev: false, cwd });
  if (!loaded.ok) assert.fail(loaded.problems.map(formatProblem).join('\n'));
  return loaded.config;
}

async function call(
  port: number,
  method: string,
  below: string,
  body: unknown,
  headers: Record<string, string>,
): Promise<JsonAnswer> {
  const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
  const answer = await send({ port }, `/api/v1${below}`, {
    method,
    headers: text === undefined ? headers : { 'content-type': 'application/json', ...headers },
    ...(text === undefined ? {} : { body: text }),
  });
  return { ...answer, json: answer.body === '' ? null : JSON.parse(answer.body) };
}

/** The code of a problem, after its form was checked. */
export function codeOf({ status, headers, json }: JsonAnswer): string {
  assert.equal(headers['content-type'], 'application/problem+json', JSON.stringify(json));
  assert.equal(json.status, status);
  return `${status} ${String(json.type).replace('urn:terminals:problem:', '')}`;
}
