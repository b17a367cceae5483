import assert from 'node:assert/strict';
import { chmod, chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { homePath } from '../../../src/backend/home.ts';
import { Accounts } from '../../../src/backend/process/accounts.ts';
import { StartFailedError } from '../../../src/errors.ts';
import type { UserId } from '../../../src/terminal/terminal.ts';
import {
  backendOf,
  dataDirectory,
  desired,
  emptyDirectory,
  execute,
  keyOf,
  never,
  quiet,
  root,
} from './open-terminal.ts';

const asRoot = { skip: !root && 'needs root' };
const notRoot = { skip: root && 'needs another user than root' };

test('each user has a uid of their own and a home that only they can enter', asRoot, async (t) => {
  const dataDir = await dataDirectory(t);
  const backend = backendOf(t, dataDir);
  const alice = await backend.create(desired('alice'), quiet, never);
  const bob = await backend.create(desired('bob'), quiet, never);
  const uids = [await uidIn(alice), await uidIn(bob)];
  assert.ok(uids.every((uid) => uid >= 200_000));
  assert.notEqual(uids[0], uids[1]);
  const home = await stat(homePath(dataDir, keyOf('alice')));
  assert.equal(home.mode & 0o777, 0o700);
  assert.equal(home.uid, uids[0]);
  assert.equal(
    backend.unenforced.some((one) => one.startsWith('isolation')),
    false,
  );
});

async function uidIn(terminal: Parameters<typeof execute>[0]): Promise<number> {
  return Number((await execute(terminal, 'id -u')).output);
}

test(
  "a user can't read another's files, key, log and variables, nor list who else there is",
  asRoot,
  async (t) => {
    const dataDir = await dataDirectory(t);
    const backend = backendOf(t, dataDir);
    const alice = await backend.create(desired('alice'), quiet, never);
    const bob = await backend.create(desired('bob'), quiet, never);
    await execute(alice, 'echo hers > note; chmod 666 note');
    const server = (await execute(alice, 'echo $PPID')).output.trim();
    const state = path.join(dataDir, '.terminals/process');
    const attempts = [
      `cat ${homePath(dataDir, keyOf('alice'))}/note`,
      `ls ${homePath(dataDir, keyOf('alice'))}`,
      `ls ${dataDir}/test`,
      `ls ${state}`,
      `cat ${state}/${alice.name}/key`,
      `cat ${state}/${alice.name}/terminal.json`,
      `cat ${state}/${alice.name}/log`,
      `cat ${state}/${bob.name}/key`,
      `ls ${dataDir}/.terminals/uids`,
      `cat /proc/${server}/environ`,
      `kill ${server}`,
    ];
    for (const attempt of attempts) {
      const { exitCode, output } = await execute(bob, attempt);
      assert.notEqual(exitCode, 0, `${attempt}: ${output}`);
      assert.match(output, /denied|not permitted/i);
    }
  },
);

test('a terminal has no rights of root left', asRoot, async (t) => {
  const backend = backendOf(t, await dataDirectory(t));
  const alice = await backend.create(desired('alice'), quiet, never);
  const { output } = await execute(alice, 'id -G; grep -E "^Cap(Inh|Prm|Eff|Amb)" /proc/self/status');
  const [groups, ...capabilities] = output.trim().split('\n');
  assert.equal(groups, String(await uidIn(alice)));
  assert.equal(capabilities.length, 4);
  for (const line of capabilities) assert.match(line, /\t0{16}$/);
});

test('what a policy sets does not run as root before the terminal does', asRoot, async (t) => {
  const dataDir = await dataDirectory(t);
  const backend = backendOf(t, dataDir);
  const trace = path.join(dataDir, 'trace');
  const script = path.join(dataDir, 'script');
  await writeFile(script, `id -u >> ${trace}\n`);
  const env = { BASH_ENV: script, ENV: script, PATH: `${dataDir}:/usr/bin:/bin`, PYTHONSTARTUP: script };
  await writeFile(path.join(dataDir, 'setpriv'), `#!/bin/sh\nid -u >> ${trace}\n`, { mode: 0o755 });
  const alice = await backend.create(desired('alice', { env }), quiet, never);
  await execute(alice, 'true');
  assert.equal(await readFile(trace, 'utf8').catch(() => ''), '');
});

test('installing packages follows no link that a user made where they are to go', asRoot, async (t) => {
  const dataDir = await dataDirectory(t);
  const backend = backendOf(t, dataDir);
  const outside = path.join(dataDir, 'outside');
  await mkdir(path.join(outside, 'python'), { recursive: true });
  await writeFile(path.join(outside, 'python', 'precious'), '');
  const alice = await backend.create(desired('alice'), quiet, never);
  await execute(alice, `mkdir -p .local/share && ln -s ${outside} .local/share/terminals`);
  await assert.rejects(
    backend.create(desired('alice', { pipPackages: ['six'] }), quiet, never),
    StartFailedError,
  );
  assert.deepEqual(await readdir(path.join(outside, 'python')), ['precious']);
});

test('a user keeps the uid over restarts, policies and contexts', asRoot, async (t) => {
  const dataDir = await dataDirectory(t);
  const first = await uidIn(await backendOf(t, dataDir).create(desired('alice'), quiet, never));
  const restarted = backendOf(t, dataDir);
  await restarted.stop(keyOf('alice'), never);
  assert.equal(await uidIn(await restarted.start(desired('alice'), quiet, never)), first);
  assert.equal(
    await uidIn(await restarted.create(desired('alice', { policy: 'other' }), quiet, never)),
    first,
  );
  assert.equal(
    await uidIn(await restarted.create(desired('alice', { context: 'chat:1' }), quiet, never)),
    first,
  );
});

test("a home that belonged to somebody else becomes its own user's", asRoot, async (t) => {
  const dataDir = await dataDirectory(t);
  const home = homePath(dataDir, keyOf('alice'));
  await mkdir(path.join(home, 'folder'), { recursive: true });
  await writeFile(path.join(home, 'folder', 'note'), 'old\n', { mode: 0o600 });
  await chown(home, 1000, 1000);
  const backend = backendOf(t, dataDir);
  const alice = await backend.create(desired('alice'), quiet, never);
  assert.equal(
    (await execute(alice, 'cat folder/note && touch folder/new && stat -c %U folder/note')).output,
    'old\nuser\n',
  );
});

test(
  'a data directory that only root can reach is said, and nothing is dropped silently',
  asRoot,
  async (t) => {
    const dataDir = await dataDirectory(t, 'data');
    await chmod(path.dirname(dataDir), 0o700);
    const backend = backendOf(t, dataDir);
    const alice = await backend.create(desired('alice'), quiet, never);
    assert.equal((await execute(alice, 'id -u')).output, '0\n');
    assert.ok(backend.unenforced.some((one) => one.startsWith('isolation between users')));
  },
);

test('no two users share a uid, even where their hashes collide', async (t) => {
  const folder = path.join(await emptyDirectory(t), 'uids');
  const accounts = new Accounts(folder);
  const users = Array.from({ length: 700 }, (_, index) => `user ${index}` as UserId);
  const uids = await Promise.all(users.map((user) => accounts.uidOf(user)));
  assert.equal(new Set(uids).size, users.length);
  assert.deepEqual(await Promise.all(users.map((user) => new Accounts(folder).uidOf(user))), uids);
});

test('without root everybody is the same user, which is said', notRoot, async (t) => {
  const backend = backendOf(t, await dataDirectory(t));
  const alice = await backend.create(desired('alice'), quiet, never);
  assert.equal((await execute(alice, 'id -u')).output, `${process.getuid?.()}\n`);
  assert.ok(backend.unenforced.some((one) => one.startsWith('isolation between users')));
});
