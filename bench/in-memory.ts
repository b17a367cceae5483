/**
 * The whole program over an in-memory backend with many terminals: `node in-memory.ts '{"terminals": 10000, …}'` prints what
 * it measured as JSON. In a process of its own, so that its memory and its event loop are nobody else's.
 * @module
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../src/config.ts';
import { createLogger } from '../src/log.ts';
import { policyRules, policySource } from '../src/policy/configured.ts';
import { PolicyStore } from '../src/policy/store.ts';
import { Program } from '../src/program.ts';
import { Deadlines } from '../src/reconcile/deadlines.ts';
import { Templates } from '../src/reconcile/templates.ts';
import type { TerminalName, UserId } from '../src/terminal/terminal.ts';
import { MemoryBackend } from './memory-backend.ts';

export interface InMemoryLoad {
  readonly terminals: number;
  readonly rounds: number;
  readonly folder: string;
}

/** One value a round; milliseconds of CPU or time, MiB, microseconds. */
export interface InMemoryResult {
  readonly pass: readonly number[];
  readonly edit: readonly number[];
  readonly editBlocks: readonly number[];
  /** null: there is no such route. */
  readonly list: readonly number[] | null;
  readonly listEngineCalls: number;
  readonly memory: readonly number[];
  /** Microseconds of one expiry among 1,000, 10,000 and 100,000. */
  readonly expiry: readonly (readonly number[])[];
}

const key = 'the-shared-key-of-the-bench';
/** Whatever a change leads to is over by then. */
const settleMs = 400;

async function measure({ terminals, rounds, folder }: InMemoryLoad): Promise<InMemoryResult> {
  const file = path.join(folder, 'policies', 'default.yaml');
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, policy(0));
  const { program, backend, url } = await startProgram(terminals, folder);
  await sleep(2 * settleMs);
  const memory = [process.memoryUsage.rss() / 1024 / 1024];

  const pass = await repeat(rounds, () => cpu(() => backend.relist()));
  const called = backend.calls;
  const list = await listPages(url, rounds);
  const listEngineCalls = backend.calls - called;
  let edit = 0;
  const change = async () => {
    edit += 1;
    await writeFile(file, policy(edit));
    await program.policies.reload();
  };
  const edits = await repeat(rounds, () => cpu(change));
  const editBlocks = await repeat(rounds, () => longestBlock(change));
  memory.push(process.memoryUsage.rss() / 1024 / 1024);
  await program.close();
  const expiry = [];
  for (const among of [1_000, 10_000, 100_000]) expiry.push(await repeat(rounds, () => expire(among)));
  return { pass, edit: edits, editBlocks, list, listEngineCalls, memory, expiry };
}

function policy(edit: number): string {
  const spec = `spec: {idleTimeoutMinutes: 30, env: {EDIT: "${edit}"}, rollout: {when: idle}}`;
  return `apiVersion: terminals.openwebui.com/v1alpha1\nkind: Policy\nmetadata: {name: default}\n${spec}\n`;
}

async function startProgram(terminals: number, folder: string) {
  const env = {
    TERMINALS_API_KEY: key,
    TERMINALS_HOST: '127.0.0.1',
    TERMINALS_PORT: '0',
    TERMINALS_DATA_DIR: path.join(folder, 'data'),
    TERMINALS_POLICIES_DIR: path.join(folder, 'policies'),
  };
  const loaded = loadConfig(env, { dev: false, cwd: folder });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const { config } = loaded;
  const log = await createLogger({ level: 'silent', pretty: false });
  const backend = new MemoryBackend(await terminalServer());
  await fill(
    backend,
    terminals,
    new PolicyStore({ source: policySource(config, folder, log), rules: policyRules(config), log }),
  );
  const program = new Program({ config, backend, log, cwd: folder, version: '0.0.0' });
  return { program, backend, url: await program.start() };
}

/** What discovery asks. */
async function terminalServer() {
  const server = http
    .createServer((_request, response) => response.end('{}'))
    .listen(0, '127.0.0.1')
    .unref();
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { host: '127.0.0.1', port: address.port };
}

async function fill(backend: MemoryBackend, terminals: number, policies: PolicyStore): Promise<void> {
  await policies.reload();
  const templates = new Templates(backend.platform);
  const [declared] = policies.current.policies.values();
  if (!declared) throw new Error('no policy');
  for (let index = 0; index < terminals; index += 1) {
    const user = randomUUID() as UserId;
    backend.put({ policy: declared.id, user, context: null }, templates.of(declared));
  }
}

async function repeat(rounds: number, once: () => Promise<number>): Promise<readonly number[]> {
  const values: number[] = [];
  // The first one warms up.
  for (let round = 0; round <= rounds; round += 1) values.push(await once());
  return values.slice(1);
}

/** @returns milliseconds of CPU, with everything it sets off */
async function cpu(work: () => unknown): Promise<number> {
  await sleep(settleMs);
  const before = process.cpuUsage();
  await work();
  await sleep(settleMs);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** @returns the longest time in milliseconds for which nothing else had a turn */
async function longestBlock(work: () => unknown): Promise<number> {
  await sleep(settleMs);
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  await work();
  await sleep(settleMs);
  delays.disable();
  return delays.max / 1e6;
}

async function listPages(url: string, rounds: number): Promise<readonly number[] | null> {
  const headers = { authorization: `Bearer ${key}` };
  const ask = async () => {
    const began = performance.now();
    const response = await fetch(`${url}/api/v1/terminals?limit=100`, { headers });
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`status ${response.status}`);
    return performance.now() - began;
  };
  return repeat(rounds, ask).catch(() => null);
}

/** @returns microseconds of one expiry while so many others wait */
async function expire(among: number): Promise<number> {
  const due = 500;
  const times: number[] = [];
  const all = Promise.withResolvers<void>();
  const deadlines = new Deadlines(() => {
    times.push(performance.now());
    if (times.length === due) all.resolve();
  });
  const now = Date.now();
  for (let index = 0; index < among; index += 1) {
    const at = index < due ? now + 50 : now + 3_600_000 + ((index * 7919) % among);
    deadlines.set(`terminal-${index}` as TerminalName, at);
  }
  // A heap that is still being made when the first is due would be measured, too.
  const keepAlive = setInterval(() => undefined, 10);
  await all.promise;
  clearInterval(keepAlive);
  deadlines.close();
  return (((times.at(-1) ?? 0) - (times[0] ?? 0)) / (due - 1)) * 1000;
}

process.stdout.write(JSON.stringify(await measure(JSON.parse(process.argv[2] ?? '{}'))));
process.exit(0);
