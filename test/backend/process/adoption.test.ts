import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { allProcesses, bornOf, environmentOf } from '../../../src/backend/process/processes.ts';
import type { RunningTerminal } from '../../../src/terminal/terminal.ts';
import { backendOf, dataDirectory, desired, execute, never, quiet, Told } from './open-terminal.ts';

const linux = process.platform === 'linux';

test('after a restart a terminal is found with its process, key, port and start time', async (t) => {
  const dataDir = await dataDirectory(t);
  const before = await backendOf(t, dataDir).create(desired('alice'), quiet, never);
  const pid = (await execute(before, 'echo $PPID')).output;
  const restarted = backendOf(t, dataDir);
  assert.deepEqual(await restarted.list(never), [before]);
  assert.deepEqual(await restarted.create(desired('alice'), quiet, never), before);
  assert.equal((await execute(before, 'echo $PPID')).output, pid);
});

test('the end of a found terminal is told', async (t) => {
  const dataDir = await dataDirectory(t);
  const alice = await backendOf(t, dataDir).create(desired('alice'), quiet, never);
  const restarted = backendOf(t, dataDir);
  await restarted.list(never);
  const told = new Told();
  const stop = new AbortController();
  t.after(() => stop.abort());
  restarted.watch(told, stop.signal);
  for (const pid of await serversOf(alice.apiKey)) process.kill(pid, 'SIGKILL');
  await told.first();
  assert.deepEqual(told.changes, [{ key: alice.key, phase: 'Idle' }]);
});

test('a process id that another process has by now is not mistaken for the terminal', async (t) => {
  const dataDir = await dataDirectory(t);
  const backend = backendOf(t, dataDir);
  const alice = await backend.create(desired('alice'), quiet, never);
  await backend.stop(alice.key, never);
  const stranger = spawn('sleep', ['1000'], { stdio: 'ignore' });
  t.after(() => stranger.kill('SIGKILL'));
  await change(dataDir, alice.name, { server: { pid: stranger.pid, born: 'long ago' }, healthy: true });
  assert.equal((await backend.inspect(alice.key, never))?.phase, 'Idle');
  await backend.stop(alice.key, never);
  await backend.remove(alice.key, { files: true }, never);
  // Had it been killed, its end would be told within that time.
  const ended = once(stranger, 'exit', { signal: AbortSignal.timeout(500) });
  await assert.rejects(ended, { name: 'AbortError' });
});

test('a server whose process id was never written down is found by its key', {
  skip: !linux && 'needs /proc',
}, async (t) => {
  const dataDir = await dataDirectory(t);
  const alice = await backendOf(t, dataDir).create(desired('alice'), quiet, never);
  await execute(alice, 'sleep 30 </dev/null >/dev/null 2>&1 &');
  await change(dataDir, alice.name, { server: null, starting: true });
  const restarted = backendOf(t, dataDir);
  assert.deepEqual(await restarted.list(never), [alice]);
  assert.deepEqual(await restarted.start(desired('alice'), quiet, never), alice);
});

test('a server whose process id was never written down is ended by stop', {
  skip: !linux && 'needs /proc',
}, async (t) => {
  const dataDir = await dataDirectory(t);
  const alice = await backendOf(t, dataDir).create(desired('alice'), quiet, never);
  await change(dataDir, alice.name, { server: null, starting: true });
  await backendOf(t, dataDir).stop(alice.key, never);
  assert.deepEqual(await serversOf(alice.apiKey), []);
});

test('a broken record neither hides the other terminals nor stands in the way', async (t) => {
  const dataDir = await dataDirectory(t);
  const backend = backendOf(t, dataDir);
  const alice = await backend.create(desired('alice'), quiet, never);
  const bob = await backend.create(desired('bob'), quiet, never);
  await writeFile(recordFile(dataDir, alice.name), '{"key":');
  assert.deepEqual(await backend.list(never), [bob]);
  const again = await backend.create(desired('alice'), quiet, never);
  assert.equal((await serversOf(alice.apiKey)).length, 1);
  assert.equal(again.apiKey, alice.apiKey);
});

test('record and key can be read by nobody else', async (t) => {
  const dataDir = await dataDirectory(t);
  const alice = await backendOf(t, dataDir).create(desired('alice'), quiet, never);
  for (const name of ['terminal.json', 'key', 'log']) {
    const file = path.join(dataDir, '.terminals/process', alice.name, name);
    assert.equal((await stat(file)).mode & 0o777, 0o600, name);
  }
});

test('killed at any moment of a start, the next run has one server and the same key', async (t) => {
  const dataDir = await dataDirectory(t);
  for (const delay of [5, 30, 60, 120, 200, 300, 450, 700]) {
    const user = `user${delay}`;
    await killedWhileCreating(t, dataDir, user, delay);
    const restarted = backendOf(t, dataDir);
    const keyBefore = await readFile(keyFile(dataDir, user), 'utf8').catch(() => null);
    const terminal = await restarted.create(desired(user), quiet, never);
    assert.equal((await execute(terminal, 'echo alive')).output, 'alive\n', `after ${delay} ms`);
    if (keyBefore !== null) assert.equal(terminal.apiKey, keyBefore, `after ${delay} ms`);
    assert.equal((await markedServers(dataDir, terminal)).length, 1, `after ${delay} ms`);
    await restarted.remove(terminal.key, { files: true }, never);
    assert.equal((await markedServers(dataDir, terminal)).length, 0, `after ${delay} ms`);
  }
});

async function killedWhileCreating(
  t: TestContext,
  dataDir: string,
  user: string,
  delay: number,
): Promise<void> {
  const script = fileURLToPath(new URL('create-one.ts', import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [script, dataDir, user], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  assert.ok(child.stdout);
  await once(child.stdout, 'data');
  await sleep(delay);
  child.kill('SIGKILL');
  await once(child, 'exit');
}

function keyFile(dataDir: string, user: string): string {
  return path.join(dataDir, '.terminals/process', desired(user).name, 'key');
}

function recordFile(dataDir: string, name: string): string {
  return path.join(dataDir, '.terminals/process', name, 'terminal.json');
}

async function change(
  dataDir: string,
  name: string,
  fields: Readonly<Record<string, unknown>>,
): Promise<void> {
  const file = recordFile(dataDir, name);
  const record: unknown = JSON.parse(await readFile(file, 'utf8'));
  assert.ok(typeof record === 'object' && record !== null);
  await writeFile(file, JSON.stringify({ ...record, ...fields }));
}

async function serversOf(apiKey: string): Promise<readonly number[]> {
  return withVariable(`OPEN_TERMINAL_API_KEY=${apiKey}`);
}

/** All processes of a terminal that are no child of another one of it. */
async function markedServers(dataDir: string, { name }: RunningTerminal): Promise<readonly number[]> {
  const marked = await withVariable(`TERMINALS_TERMINAL=${path.join(dataDir, '.terminals/process', name)}`);
  const processes = await allProcesses();
  return processes
    .filter(({ pid, parent }) => marked.includes(pid) && !marked.includes(parent))
    .map(({ pid }) => pid);
}

async function withVariable(entry: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const { pid } of await allProcesses()) if ((await environmentOf(pid)).includes(entry)) found.push(pid);
  return found;
}

test('a process is known by its id and the time it started', async () => {
  assert.equal(await bornOf(process.pid), await bornOf(process.pid));
  assert.notEqual(await bornOf(process.pid), await bornOf(process.ppid));
  assert.equal(await bornOf(2 ** 30), null);
});
