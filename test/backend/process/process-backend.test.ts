import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import pino from 'pino';
import { homePath } from '../../../src/backend/home.ts';
import { allProcesses, environmentOf } from '../../../src/backend/process/processes.ts';
import { SecretMissingError, StartFailedError, StartTimeoutError } from '../../../src/errors.ts';
import { until } from '../../policy/fixtures.ts';
import {
  backendOf,
  dataDirectory,
  desired,
  emptyDirectory,
  execute,
  keyOf,
  never,
  quiet,
  Told,
} from './open-terminal.ts';

test('a terminal executes commands in its own home', async (t) => {
  const dataDir = await dataDirectory(t);
  const backend = backendOf(t, dataDir);
  const alice = await backend.create(desired('alice'), quiet, never);
  const { output, exitCode } = await execute(alice, 'whoami && hostname && pwd && echo "$HOME"');
  const [user, host, cwd, home] = output.split('\n');
  assert.equal(exitCode, 0, output);
  assert.ok(user && host);
  assert.equal(cwd, homePath(dataDir, keyOf('alice')));
  assert.equal(home, cwd);
});

test('two users have two homes and two keys', async (t) => {
  const backend = backendOf(t, await dataDirectory(t));
  const [alice, bob] = await Promise.all([
    backend.create(desired('alice'), quiet, never),
    backend.create(desired('bob'), quiet, never),
  ]);
  await execute(alice, 'echo hers > note');
  assert.equal((await execute(bob, 'cat note')).exitCode, 1);
  assert.equal((await execute(alice, 'cat note')).output, 'hers\n');
  const crossed = { ...alice, apiKey: bob.apiKey };
  await assert.rejects(execute(crossed, 'true'), /401/);
});

test('user ids that try to leave the data directory stay in it', async (t) => {
  const dataDir = await dataDirectory(t);
  const backend = backendOf(t, dataDir);
  for (const user of ['../../etc', '/etc/passwd', 'a\0b', '．．／', '\ndiscovery']) {
    const terminal = await backend.create(desired(user), quiet, never);
    const { output } = await execute(terminal, 'pwd');
    assert.equal(output.trim(), homePath(dataDir, keyOf(user)), JSON.stringify(user));
    assert.ok(output.startsWith(`${dataDir}/test/`), output);
    await backend.remove(terminal.key, { files: true }, never);
  }
});

test("a terminal gets its policy's variables and none of Terminals' own", async (t) => {
  const dataDir = await dataDirectory(t);
  t.mock.property(process, 'env', {
    ...process.env,
    TERMINALS_API_KEY: 'shared',
    AWS_SECRET: 'private',
    PIP_INDEX_URL: 'https://me:pw@index.invalid/',
  });
  const backend = backendOf(t, dataDir);
  const wanted = desired('alice', {
    env: { TZ: 'Asia/Tokyo', OPEN_TERMINAL_API_KEY: 'known', HOME: '/etc' },
  });
  const alice = await backend.create(wanted, quiet, never);
  const { output } = await execute(alice, 'env; date +%Z');
  assert.match(output, /^JST$/m);
  assert.doesNotMatch(output, /TERMINALS_API_KEY|AWS_SECRET|PIP_INDEX_URL|^HOME=\/etc$/m);
  assert.notEqual(alice.apiKey, 'known');
});

test('a variable of the policy does not change the server itself', async (t) => {
  const backend = backendOf(t, await dataDirectory(t));
  const env = { PYTHONPATH: '.', PYTHONHOME: '/nowhere', LD_PRELOAD: '' };
  const alice = await backend.create(desired('alice', { env }), quiet, never);
  await execute(alice, 'echo "raise SystemExit(9)" > json.py; cp json.py click.py');
  await backend.stop(alice.key, never);
  const again = await backend.start(desired('alice', { env }), quiet, never);
  assert.equal((await execute(again, 'echo $PYTHONPATH')).output, '.\n');
});

test('a stopped terminal is idle and comes back with its files and its key', async (t) => {
  const backend = backendOf(t, await dataDirectory(t));
  const before = await backend.create(desired('alice'), quiet, never);
  await execute(before, 'echo kept > note');
  await backend.stop(before.key, never);
  assert.equal((await backend.inspect(before.key, never))?.phase, 'Idle');
  const after = await backend.start(desired('alice'), quiet, never);
  assert.equal((await execute(after, 'cat note')).output, 'kept\n');
  assert.equal(after.apiKey, before.apiKey);
});

test('stop ends everything that was started in the terminal', async (t) => {
  const backend = backendOf(t, await dataDirectory(t));
  const alice = await backend.create(desired('alice'), quiet, never);
  const own = randomInt(100_000, 1_000_000);
  const deaf = `bash -c "trap : TERM; sleep ${own}3; sleep ${own}3"`;
  const unmarked = `nohup env -u TERMINALS_TERMINAL sleep ${own}4`;
  const commands = [`sleep ${own}1`, `setsid sleep ${own}2`, deaf, unmarked];
  for (const command of commands) await execute(alice, `${command} </dev/null >/dev/null 2>&1 &`);
  const ours = new RegExp(`^${own}[1-4]$`);
  await until('all four sleep', async () => (await sleeping(ours)).length === 4);
  await backend.stop(alice.key, never);
  assert.deepEqual(await sleeping(ours), []);
});

/** Arguments of the `sleep`s that run now and match. */
async function sleeping(argument: RegExp): Promise<readonly string[]> {
  const processes = await allProcesses();
  const commands = await Promise.all(
    processes.map(({ pid }) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return commands.flatMap((command) => {
    const [name, seconds = ''] = command.split('\0');
    return name === 'sleep' && argument.test(seconds) ? [seconds] : [];
  });
}

test("stopping one of a user's terminals leaves their other one alone", async (t) => {
  const backend = backendOf(t, await dataDirectory(t));
  const first = await backend.create(desired('alice'), quiet, never);
  const other = await backend.create(desired('alice', { context: 'chat:1' }), quiet, never);
  await backend.stop(first.key, never);
  assert.equal((await execute(other, 'echo on')).output, 'on\n');
});

test('create adopts what runs with the same revision and replaces what has another', async (t) => {
  const backend = backendOf(t, await dataDirectory(t));
  const first = await backend.create(desired('alice'), quiet, never);
  const same = await backend.create(desired('alice'), quiet, never);
  assert.deepEqual(same, first);
  const changed = desired('alice', { env: { COLOUR: 'blue' } });
  const other = await backend.create(changed, quiet, never);
  assert.equal(other.revision, changed.revision);
  assert.equal((await execute(other, 'echo $COLOUR')).output, 'blue\n');
  assert.equal((await serversOf(other.apiKey)).length, 1);
});

async function serversOf(apiKey: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const { pid } of await allProcesses()) {
    if ((await environmentOf(pid)).includes(`OPEN_TERMINAL_API_KEY=${apiKey}`)) found.push(pid);
  }
  return found;
}

test('remove keeps the home, unless the files are to go too', async (t) => {
  const dataDir = await dataDirectory(t);
  const backend = backendOf(t, dataDir);
  const home = homePath(dataDir, keyOf('alice'));
  const alice = await backend.create(desired('alice'), quiet, never);
  await execute(alice, 'echo kept > note; ln -s / everything');
  await backend.remove(alice.key, { files: false }, never);
  assert.equal(await backend.inspect(alice.key, never), undefined);
  assert.equal(await readFile(path.join(home, 'note'), 'utf8'), 'kept\n');
  await backend.create(desired('alice'), quiet, never);
  await backend.remove(alice.key, { files: true }, never);
  assert.equal(existsSync(home), false);
  assert.equal(existsSync('/etc/passwd'), true);
});

test('stopping and removing what is not there is no error', async (t) => {
  const backend = backendOf(t, await dataDirectory(t));
  await backend.stop(keyOf('nobody'), never);
  await backend.remove(keyOf('nobody'), { files: true }, never);
  assert.equal(await backend.inspect(keyOf('nobody'), never), undefined);
});

test('a home without persistence goes with its terminal, and the persistent one stays untouched', async (t) => {
  const dataDir = await dataDirectory(t);
  const backend = backendOf(t, dataDir);
  const lasting = await backend.create(desired('alice'), quiet, never);
  await execute(lasting, 'echo kept > note');
  const passing = await backend.create(desired('alice', { persistent: false }), quiet, never);
  assert.equal((await execute(passing, 'ls; echo gone > other; pwd')).output.includes('note'), false);
  await backend.remove(passing.key, { files: false }, never);
  const again = await backend.create(desired('alice', { persistent: false }), quiet, never);
  assert.equal((await execute(again, 'ls')).output, '');
  assert.equal(await readFile(path.join(homePath(dataDir, lasting.key), 'note'), 'utf8'), 'kept\n');
});

test('a terminal killed from outside is told as idle and started again with the same key', async (t) => {
  const backend = backendOf(t, await dataDirectory(t));
  const told = new Told();
  const alice = await backend.create(desired('alice'), quiet, never);
  const stop = new AbortController();
  t.after(() => stop.abort());
  backend.watch(told, stop.signal);
  for (const pid of await serversOf(alice.apiKey)) process.kill(pid, 'SIGKILL');
  await told.first();
  assert.deepEqual(told.changes, [{ key: alice.key, phase: 'Idle' }]);
  const again = await backend.start(desired('alice'), quiet, never);
  assert.equal(again.apiKey, alice.apiKey);
  assert.equal((await execute(again, 'echo back')).output, 'back\n');
});

test('update answers what is there, since no limit is enforced', async (t) => {
  const backend = backendOf(t, await dataDirectory(t));
  const alice = await backend.create(desired('alice'), quiet, never);
  assert.deepEqual(await backend.update(desired('alice'), never), alice);
  assert.ok(backend.unenforced.includes('memory limit'));
});

test('a server that ends while it starts fails at once, with the end of its log', async (t) => {
  const backend = backendOf(t, await dataDirectory(t));
  const wanted = desired('alice', { env: { OPEN_TERMINAL_MAX_SESSIONS: 'many' }, startTimeoutSeconds: 60 });
  const began = performance.now();
  await assert.rejects(backend.create(wanted, quiet, never), (error) => {
    assert.ok(error instanceof StartFailedError);
    assert.match(error.message, /invalid literal for int.*many/);
    assert.match(error.lastLines.at(-1) ?? '', /invalid literal for int.*many/);
    return true;
  });
  assert.ok(performance.now() - began < 30_000);
  assert.equal(await backend.inspect(wanted.key, never), undefined);
});

test('a server that says a secret as it ends has said it to nobody: not in the log, the answer or the last lines', async (t) => {
  const secretsDir = await emptyDirectory(t);
  await mkdir(path.join(secretsDir, 'keys'));
  await writeFile(path.join(secretsDir, 'keys/db'), 'correct horse\n');
  const logged: string[] = [];
  const log = pino({}, { write: (line: string) => void logged.push(line) });
  const backend = backendOf(t, await dataDirectory(t), secretsDir, log);
  const secretEnv = { OPEN_TERMINAL_MAX_SESSIONS: { name: 'keys', key: 'db' } };
  await assert.rejects(backend.create(desired('alice', { secretEnv }), quiet, never), (error) => {
    assert.ok(error instanceof StartFailedError);
    assert.match(error.message, /invalid literal for int.*\[secret\]/);
    assert.doesNotMatch(error.message + error.lastLines.join(), /correct|horse/);
    return true;
  });
  assert.match(logged.join(''), /invalid literal for int.*\[secret\]/);
  assert.doesNotMatch(logged.join(''), /correct|horse/);
});

test('a server that does not answer in time is ended', async (t) => {
  const backend = backendOf(t, await dataDirectory(t));
  const wanted = { ...desired('alice'), startTimeoutMs: 60 };
  await backend.prepare(wanted.workload, quiet, never);
  await assert.rejects(backend.create(wanted, quiet, never), StartTimeoutError);
  assert.deepEqual(await backend.list(never), []);
});

test('an aborted start leaves no process', async (t) => {
  const backend = backendOf(t, await dataDirectory(t));
  const abort = new AbortController();
  const wanted = desired('alice');
  await backend.prepare(wanted.workload, quiet, never);
  const creating = backend.create(
    wanted,
    () => setTimeout(() => abort.abort(new Error('enough')), 100),
    abort.signal,
  );
  await assert.rejects(creating, /enough/);
  assert.deepEqual(await backend.list(never), []);
});

test('a link in place of a home is refused', async (t) => {
  const dataDir = await dataDirectory(t);
  const backend = backendOf(t, dataDir);
  await mkdir(path.join(dataDir, 'test'));
  await symlink('/etc', path.join(dataDir, 'test', 'alice'));
  await assert.rejects(backend.create(desired('alice'), quiet, never), StartFailedError);
  assert.equal((await stat('/etc')).uid, 0);
});

test('pip packages are there before the first command', async (t) => {
  const backend = backendOf(t, await dataDirectory(t));
  const wanted = desired('alice', { pipPackages: ['six'], startTimeoutSeconds: 300 });
  const alice = await backend.create(wanted, quiet, never);
  assert.equal((await execute(alice, 'python3 -c "import six; print(six.__name__)"')).output, 'six\n');
  await backend.stop(alice.key, never);
  const said: string[] = [];
  await backend.start(wanted, (detail) => said.push(detail), never);
  assert.deepEqual(said, ['starting']);
});

test("a pip package that can't be installed fails the start in pip's words", async (t) => {
  const dataDir = await dataDirectory(t);
  const backend = backendOf(t, dataDir);
  await writeFile(path.join(dataDir, 'broken.whl'), 'not a wheel');
  const wanted = desired('alice', {
    pipPackages: [path.join(dataDir, 'broken.whl')],
    startTimeoutSeconds: 120,
  });
  await assert.rejects(
    backend.create(wanted, quiet, never),
    /pip packages of the policy can't be installed.*broken/s,
  );
});

test('a secret variable has its value in the terminal and in nothing that is kept; a new one is taken at the next start', async (t) => {
  const dataDir = await dataDirectory(t);
  const secretsDir = await emptyDirectory(t);
  await mkdir(path.join(secretsDir, 'keys'));
  const file = path.join(secretsDir, 'keys/openai');
  const backend = backendOf(t, dataDir, secretsDir);
  const wanted = desired('alice', { secretEnv: { KEY: { name: 'keys', key: 'openai' } } });
  const asked = async () =>
    (await execute(await backend.start(wanted, quiet, never), 'echo "$KEY"')).output.trim();

  await assert.rejects(backend.create(wanted, quiet, never), SecretMissingError);
  assert.deepEqual(await backend.list(never), []);
  assert.match(backend.trouble(wanted.workload) ?? '', /keys\/openai/);

  await writeFile(file, 'secret-one\n');
  await backend.create(wanted, quiet, never);
  const kept = await readdir(dataDir, { recursive: true, withFileTypes: true });
  for (const entry of kept.filter((one) => one.isFile())) {
    const content = await readFile(path.join(entry.parentPath, entry.name), 'utf8');
    assert.ok(!content.includes('secret-one'), path.join(entry.parentPath, entry.name));
  }

  assert.equal(await asked(), 'secret-one');
  await writeFile(file, 'secret-two');
  assert.equal(await asked(), 'secret-one', 'one that runs goes on with what it has');
  await backend.stop(wanted.key, never);
  assert.equal(await asked(), 'secret-two');
});
