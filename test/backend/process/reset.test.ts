import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { access, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { homePath } from '../../../src/backend/home.ts';
import { terminalName } from '../../../src/terminal/names.ts';
import { backendOf, dataDirectory, desired, execute, keyOf, never, quiet, root } from './open-terminal.ts';

const evil = `mkdir -p .config/git work kept && echo g > .config/git/config && echo k > kept/note && echo w > work/file
ln -s "$OUTSIDE" out && ln -s "$OUTSIDE" through && ln -s "$OUTSIDE/precious" file && ln -s / slash && echo f > cache
mkdir locked && echo l > locked/in && chmod 0 locked`;

test('a reset ends the terminal and empties its home but for what is kept; the next one finds just that', async (t) => {
  const dataDir = await dataDirectory(t);
  const outside = path.join(dataDir, 'outside');
  await mkdir(outside);
  await writeFile(path.join(outside, 'precious'), 'precious');
  // As open as can be: its user could remove what is in it.
  execFileSync('chmod', ['-R', 'a+rwX', outside]);
  const backend = backendOf(t, dataDir);
  const wanted = desired('alice', { env: { OUTSIDE: outside } });
  const { exitCode, output } = await execute(await backend.create(wanted, quiet, never), evil);
  assert.equal(exitCode, 0, output);
  const home = homePath(dataDir, wanted.key);
  if (root) {
    await mkdir(path.join(home, 'of-root', 'deep'), { recursive: true });
    await writeFile(path.join(home, 'of-root', 'deep', 'file'), '');
  }
  const { uid } = await stat(home);

  await backend.reset(wanted, ['.config/git', 'kept', 'cache/models', 'through/precious'], never);
  assert.equal(await backend.inspect(wanted.key, never), undefined);
  assert.deepEqual((await readdir(home, { recursive: true })).sort(), [
    '.config',
    '.config/git',
    '.config/git/config',
    'kept',
    'kept/note',
  ]);
  assert.equal((await stat(home)).uid, uid);
  assert.equal(await readFile(path.join(outside, 'precious'), 'utf8'), 'precious');

  const again = await backend.create(wanted, quiet, never);
  assert.equal(
    (await execute(again, 'cat kept/note; echo new > note && ls work 2>/dev/null || echo none')).output,
    'k\nnone\n',
  );
});

test('with nothing to keep not even the folder stays, and other homes stay as they are', async (t) => {
  const dataDir = await dataDirectory(t);
  const backend = backendOf(t, dataDir);
  const wanted = desired('alice');
  const others = [desired('bob'), desired('alice', { context: 'chat:1' })];
  for (const one of [wanted, ...others])
    await execute(await backend.create(one, quiet, never), 'echo x > note');
  await backend.reset(wanted, [], never);
  await assert.rejects(access(homePath(dataDir, wanted.key)));
  for (const { key } of others) {
    await access(path.join(homePath(dataDir, key), 'note'));
    assert.equal((await backend.inspect(key, never))?.phase, 'Running');
  }
  assert.equal((await execute(await backend.create(wanted, quiet, never), 'ls')).output, '');
});

test('one that is not there may have a home all the same; one that has none is no error', async (t) => {
  const dataDir = await dataDirectory(t);
  const backend = backendOf(t, dataDir);
  const home = homePath(dataDir, keyOf('alice'));
  await mkdir(home, { recursive: true });
  await writeFile(path.join(home, 'note'), '');
  await backend.reset(desired('alice'), [], never);
  await assert.rejects(access(home));
  await backend.reset(desired('alice'), ['x'], never);
});

test('one whose home is in the way of a reset is stopped, and there for the next try', async (t) => {
  const dataDir = await dataDirectory(t);
  const backend = backendOf(t, dataDir);
  const wanted = desired('alice');
  await backend.create(wanted, quiet, never);
  const home = homePath(dataDir, wanted.key);
  execFileSync('sh', ['-c', 'rm -rf -- "$1" && ln -s /etc "$1"', 'sh', home]);
  await assert.rejects(backend.reset(wanted, [], never), /is not a directory/);
  assert.equal((await backend.inspect(wanted.key, never))?.phase, 'Idle');
  assert.equal((await backend.inspect(wanted.key, never))?.name, terminalName(wanted.key));
  await assert.rejects(backend.remove(wanted.key, { files: true }, never), /is not a directory/);
  await rm(home);
});
