import assert from 'node:assert/strict';
import { access, chown, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { wipeAsRoot } from '../../../src/backend/docker/wipe-as-root.ts';
import { homePath } from '../../../src/backend/home.ts';
import { wipe } from '../../../src/backend/wipe.ts';
import { withoutDocker } from '../../engines.ts';
import { docker, execute, never, openTerminal, placeFor, quiet } from './engine.ts';

const evil = `mkdir -p .config/git work kept && echo g > .config/git/config && echo k > kept/note && echo w > work/file
ln -s /etc etc && ln -s /etc through && ln -s /etc/passwd file && ln -s / slash && echo f > cache
sudo mkdir -p of-root/deep && sudo touch of-root/deep/file kept/of-root && sudo chmod 0 of-root && echo done`;

describe('a reset of a container', { skip: await withoutDocker() }, () => {
  test('removes it and empties its home but for what is kept, whatever links and owners are in it', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const wanted = place.desired('alice');
    const other = place.desired('bob');
    assert.equal(await execute(await backend.create(wanted, quiet, never), evil), 'done');
    await execute(await backend.create(other, quiet, never), 'echo x > note');
    const home = homePath(place.dataDir, wanted.key);
    if (process.getuid?.() === 0) await chown(home, 0, 0);
    const passwd = await stat('/etc/passwd');
    await backend.reset(wanted, ['.config/git', 'kept', 'cache/models', 'through/passwd'], never);
    assert.equal(await backend.inspect(wanted.key, never), undefined);
    assert.deepEqual((await readdir(home, { recursive: true })).sort(), [
      '.config',
      '.config/git',
      '.config/git/config',
      'kept',
      'kept/note',
      'kept/of-root',
    ]);
    assert.deepEqual((await stat('/etc/passwd')).ino, passwd.ino);
    await access(path.join(homePath(place.dataDir, other.key), 'note'));
    assert.equal((await backend.inspect(other.key, never))?.phase, 'Running');

    const again = await backend.create(wanted, quiet, never);
    assert.equal(
      await execute(again, 'cat kept/note; echo new > note && ls work 2> /dev/null || echo none'),
      'k\nnone',
    );
    await backend.stop(wanted.key, never);
    await backend.reset(wanted, [], never);
    await assert.rejects(access(home));
  });

  test('of what only root can remove is done by a container that sees nothing else, and leaves none', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const { key, name } = place.desired('alice');
    assert.equal(await execute(await backend.create(place.desired('alice'), quiet, never), evil), 'done');
    await backend.stop(key, never);
    const home = homePath(place.dataDir, key);
    const asRoot = wipeAsRoot(docker, { name, hostHome: async () => home, image: async () => openTerminal });
    // An earlier try that a crash ended.
    await docker.createContainer({ name: `${name}.reset`, Image: openTerminal });
    const refused = async () => ['not permitted'];
    await wipe(home, ['kept/note'], [refused, asRoot], never);
    assert.deepEqual((await readdir(home, { recursive: true })).sort(), ['kept', 'kept/note']);
    await wipe(home, [], [refused, asRoot], never);
    await assert.rejects(access(home));
    await assert.rejects(docker.getContainer(`${name}.reset`).inspect(), { statusCode: 404 });
  });

  test('of one that is not there leaves the container of somebody else alone that has its name', async (t) => {
    const place = await placeFor(t);
    const wanted = place.desired('alice');
    const foreign = await docker.createContainer({ name: wanted.name, Image: openTerminal });
    t.after(() => foreign.remove({ force: true }));
    await foreign.start();
    const home = homePath(place.dataDir, wanted.key);
    await mkdir(home, { recursive: true });
    await writeFile(path.join(home, 'note'), '');
    await place.backend().reset(wanted, [], never);
    assert.equal((await foreign.inspect()).State.Running, true);
    await assert.rejects(access(home));
  });
});
