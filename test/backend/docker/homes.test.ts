import assert from 'node:assert/strict';
import { access, mkdir, readdir, realpath, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Homes } from '../../../src/backend/docker/homes.ts';
import { homePath } from '../../../src/backend/home.ts';
import { StartFailedError } from '../../../src/errors.ts';
import { notOnThisDocker, withoutDocker } from '../../engines.ts';
import {
  docker,
  execute,
  fastServer,
  imageWith,
  networkFor,
  never,
  openTerminal,
  placeFor,
  pythonEntrypoint,
  quiet,
  removeContainer,
  until,
} from './engine.ts';

const evil = [
  '..',
  '../../etc',
  'a/b',
  'a\0b',
  '．．／etc',
  'а', // Cyrillic
  'a',
  'A',
  'alice ',
  'x'.repeat(200),
  `${'x'.repeat(199)}y`,
  '$(id)',
  '\ndiscovery',
];

describe('homes of containers', { skip: await withoutDocker() }, () => {
  test('whatever a user is called, the home is below the data directory and nobody else has it', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const homes = new Set<string>();
    const names = new Set<string>();
    for (const user of evil) {
      const said = JSON.stringify(user);
      const terminal = await backend.create(place.desired(user), quiet, never);
      assert.equal(terminal.key.user, user, `the label of ${said} is not what it was`);
      const { Mounts } = await docker.getContainer(terminal.name).inspect();
      const source = Mounts.find(({ Destination }) => Destination === '/home/user')?.Source ?? '';
      assert.equal(path.dirname(source), path.join(place.dataDir, place.policy), said);
      assert.equal(await realpath(source), source, said);
      homes.add(source.toLowerCase());
      names.add(terminal.name.toLowerCase());
      assert.deepEqual((await backend.inspect(terminal.key, never))?.key, terminal.key, said);
      await backend.remove(terminal.key, { files: false }, never);
    }
    assert.equal(homes.size, evil.length);
    assert.equal(names.size, evil.length);
    assert.equal((await readdir(path.join(place.dataDir, place.policy))).length, evil.length);
    assert.deepEqual(await readdir(place.dataDir), [place.policy]);
  });

  test('a home is written in the terminal, is its user’s alone, and outlives the container', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const alice = await backend.create(place.desired('alice'), quiet, never);
    assert.equal(await execute(alice, 'pwd; echo kept > note; stat -c %a .'), '/home/user\n700');
    await backend.remove(alice.key, { files: false }, never);
    const home = homePath(place.dataDir, alice.key);
    assert.equal((await stat(path.join(home, 'note'))).size, 5);
    const again = await backend.create(place.desired('alice'), quiet, never);
    assert.equal(await execute(again, 'cat note'), 'kept');
    await backend.remove(alice.key, { files: true }, never);
    await assert.rejects(access(home));
    await backend.remove(alice.key, { files: true }, never);
  });

  test('one that can not be removed is not left without its container: the next try finds both, and finishes', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const alice = await backend.create(place.desired('alice'), quiet, never);
    await execute(alice, 'echo kept > note');
    const note = path.join(homePath(place.dataDir, alice.key), 'note');
    const removing = t.mock.method(Homes.prototype, 'remove', async () => assert.fail('not permitted'));
    const emptying = t.mock.method(Homes.prototype, 'empty', async () => {
      throw new StartFailedError('not permitted either', '');
    });
    const remove = () => backend.remove(alice.key, { files: true }, never);
    await assert.rejects(remove(), /not permitted either/);
    assert.equal((await backend.inspect(alice.key, never))?.phase, 'Idle');
    await access(note);

    removing.mock.restore();
    emptying.mock.restore();
    await remove();
    assert.equal(await backend.inspect(alice.key, never), undefined);
    await assert.rejects(access(note));
  });

  test('what is deleted with its files is not asked to end first', async (t) => {
    const place = await placeFor(t);
    const deaf = fastServer.replace('lambda *a:os._exit(0)', 'signal.SIG_IGN');
    const image = await imageWith(t, pythonEntrypoint(deaf));
    const backend = place.backend();
    const alice = await backend.create(place.desired('alice', { image }), quiet, never);
    const signal = AbortSignal.timeout(8_000);
    await backend.remove(alice.key, { files: true }, signal);
    assert.equal(await backend.inspect(alice.key, never), undefined);
  });

  test('without persistence there is none, and nothing is kept', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const desired = place.desired('alice', { persistence: { enabled: false } });
    const alice = await backend.create(desired, quiet, never);
    await execute(alice, 'echo lost > note');
    assert.deepEqual((await docker.getContainer(alice.name).inspect()).Mounts, []);
    await assert.rejects(access(homePath(place.dataDir, alice.key)));
    await backend.remove(alice.key, { files: false }, never);
    const again = await backend.create(desired, quiet, never);
    assert.equal(await execute(again, 'ls note 2> /dev/null || echo none'), 'none');
  });

  test("mounts of the policy and of Terminals are there, and read-only ones can't be written", async (t) => {
    const place = await placeFor(t);
    const source = path.dirname(fileURLToPath(import.meta.url));
    const mounts = [{ source, target: '/mnt/of-all', readOnly: true }];
    const shared = path.join(place.dataDir, 'shared');
    await mkdir(shared);
    await writeFile(path.join(shared, 'note'), 'for all');
    const own = [{ source: shared, target: '/mnt/of-policy', readOnly: false }];
    const alice = await place
      .backend({ mounts })
      .create(place.desired('alice', { mounts: own }), quiet, never);
    assert.match(await execute(alice, 'ls /mnt/of-all'), /homes\.test\.ts/);
    assert.match(await execute(alice, 'sudo touch /mnt/of-all/x 2>&1'), /Read-only file system/);
    assert.equal(await execute(alice, 'cat /mnt/of-policy/note'), 'for all');
  });
});

describe('Terminals in a container of its own', { skip: await withoutDocker() }, () => {
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  const socket = '/var/run/docker.sock';
  const nodeImage = 'node:26-bookworm-slim';
  const has = (image: string) =>
    docker
      .getImage(image)
      .inspect()
      .then(
        () => true,
        () => false,
      );

  test('hands the homes on as the host of the engine names them', async (t) => {
    const place = await placeFor(t);
    const network = await networkFor(t);
    if (!(await has(nodeImage))) return t.skip(notOnThisDocker(`there is no image ${nodeImage}`));
    const script = `
      import { createServer } from 'node:http';
      import pino from '/app/node_modules/pino/pino.js';
      import { DockerBackend } from '/app/src/backend/docker/docker-backend.ts';
      const backend = new DockerBackend({ dataDir: '/data/homes', networks: ['${network}'], publishHost: '127.0.0.1', mounts: [], log: pino({}) });
      const desired = JSON.parse(process.env.DESIRED);
      const { name, address } = await backend.create(desired, console.log, new AbortController().signal);
      console.log(JSON.stringify({ made: name, address }));`;
    const outer = await docker.createContainer({
      Image: nodeImage,
      Entrypoint: ['node', '--input-type=module', '-e', script],
      Env: [`DESIRED=${JSON.stringify(place.desired('../alice'))}`],
      HostConfig: {
        NetworkMode: network,
        Binds: [`${root}:/app:ro`, `${socket}:${socket}`, `${place.dataDir}:/data`],
      },
    });
    t.after(() => removeContainer(outer.id));
    await outer.start();
    await until(async () => !(await outer.inspect()).State.Running, 30_000);
    const said = (await outer.logs({ stdout: true, stderr: true })).toString();
    assert.match(said, /"made"/, said);
    const { name } = place.desired('../alice');
    const { Mounts, Config } = await docker.getContainer(name).inspect();
    const home = path.join(place.dataDir, 'homes', place.policy);
    assert.equal(path.dirname(Mounts[0]?.Source ?? ''), home);
    assert.equal((await readdir(home)).length, 1);
    assert.equal(Config.Image, openTerminal);
  });

  test('refuses to start a terminal whose home would be lost with that container', async (t) => {
    const place = await placeFor(t);
    if (!(await has(nodeImage))) return t.skip(notOnThisDocker(`there is no image ${nodeImage}`));
    const script = `
      import Docker from '/app/node_modules/dockerode/lib/docker.js';
      import { hostPaths } from '/app/src/backend/docker/own-mounts.ts';
      const never = new AbortController().signal;
      for (const folder of ['/data', '/mounted/x', '/memory/x']) {
        await hostPaths(new Docker(), folder, never).then((to) => console.log(folder, 'is', to(folder)), (error) => console.log(folder, error.name));
      }`;
    const outer = await docker.createContainer({
      Image: nodeImage,
      Entrypoint: ['node', '--input-type=module', '-e', script],
      HostConfig: {
        Binds: [`${root}:/app:ro`, `${socket}:${socket}`, `${place.dataDir}:/mounted`],
        Tmpfs: { '/memory': '' },
      },
    });
    t.after(() => removeContainer(outer.id));
    await outer.start();
    await until(async () => !(await outer.inspect()).State.Running, 30_000);
    const said = (await outer.logs({ stdout: true, stderr: true })).toString();
    assert.match(said, /\/data StorageError/);
    assert.match(said, /\/memory\/x StorageError/);
    assert.ok(said.includes(`/mounted/x is ${place.dataDir}/x`), said);
  });
});
