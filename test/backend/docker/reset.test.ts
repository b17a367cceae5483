import assert from 'node:assert/strict';
import { access, chown, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Images } from '../../../src/backend/docker/images.ts';
import { wipeAsRoot } from '../../../src/backend/docker/wipe-as-root.ts';
import { homePath } from '../../../src/backend/home.ts';
import { wipe, wipeTimeoutMs } from '../../../src/backend/wipe.ts';
import { EngineUnavailableError, ImagePullError } from '../../../src/errors.ts';
import { withoutDocker } from '../../engines.ts';
import { docker, execute, imageWith, never, openTerminal, placeFor, quiet } from './engine.ts';
import { proxyFor } from './engine-proxy.ts';

const evil = `mkdir -p .config/git work kept && echo g > .config/git/config && echo k > kept/note && echo w > work/file
ln -s /etc etc && ln -s /etc through && ln -s /etc/passwd file && ln -s / slash && echo f > cache
sudo mkdir -p of-root/deep && sudo touch of-root/deep/file kept/of-root && sudo chmod 0 of-root && echo done`;

/** An empty home, and how it is wiped as root. */
async function homeOf(t: TestContext) {
  const place = await placeFor(t);
  const { key, name } = place.desired('alice');
  const home = homePath(place.dataDir, key);
  await mkdir(home, { recursive: true });
  return { name, hostHome: async () => home, images: new Images(docker), image: openTerminal };
}

/** Has time limits that are at least this long end much sooner. */
function shorten(t: TestContext, atLeastMs: number, ms: number): void {
  const { timeout } = AbortSignal;
  t.mock.method(AbortSignal, 'timeout', (asked: number) => timeout(asked < atLeastMs ? asked : ms));
}

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
    const images = new Images(docker);
    const asRoot = wipeAsRoot(docker, { name, hostHome: async () => home, images, image: openTerminal });
    // An earlier try that a crash ended.
    await docker.createContainer({ name: `${name}.reset`, Image: openTerminal });
    const refused = async () => ['not permitted'];
    await wipe(home, ['kept/note'], [refused, asRoot], never);
    assert.deepEqual((await readdir(home, { recursive: true })).sort(), ['kept', 'kept/note']);
    await wipe(home, [], [refused, asRoot], never);
    await assert.rejects(access(home));
    await assert.rejects(docker.getContainer(`${name}.reset`).inspect(), { statusCode: 404 });
  });

  const soon = { timeout: 60_000 };

  test('as root gives up a container that does not end, and leaves none', soon, async (t) => {
    const wiped = await homeOf(t);
    shorten(t, wipeTimeoutMs, 1_000);
    const [line] = (await wipeAsRoot(docker, wiped)('exec sleep 600', never)) ?? [];
    assert.equal(line, `a container of ${openTerminal} had not ended after 10 minutes`);
    await assert.rejects(docker.getContainer(`${wiped.name}.reset`).inspect(), { statusCode: 404 });
  });

  test('as root does not wait for ever for an answer that breaks off', soon, async (t) => {
    const wiped = await homeOf(t);
    const proxy = await proxyFor(t);
    const broken = Buffer.from('HTTP/1.1 500 Failed\r\ncontent-length: 99\r\n\r\n{');
    proxy.passes = (request, answer) =>
      request.startsWith('DELETE ') && !request.includes('.reset') ? broken : answer;
    shorten(t, 30_000, 5_000);
    await assert.rejects(wipeAsRoot(proxy.client, wiped)('exit 0', never), EngineUnavailableError);
    assert.equal(await wipeAsRoot(docker, wiped)('exit 0', never), null);
  });

  test('as root asks anew for an image that was removed since', async (t) => {
    const wiped = await homeOf(t);
    const made = await imageWith(t);
    const image = `localhost:1/${made}`;
    await docker.getImage(made).tag({ repo: image.replace(/:latest$/, ''), tag: 'latest' });
    await wiped.images.ensure(image, quiet, never);
    await docker.getImage(image).remove();
    const asRoot = wipeAsRoot(docker, { ...wiped, image });
    await assert.rejects(asRoot('exit 0', never), ImagePullError);
    await docker.getImage(made).tag({ repo: image.replace(/:latest$/, ''), tag: 'latest' });
    assert.equal(await asRoot('exit 0', never), null);
    await docker.getImage(image).remove();
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
