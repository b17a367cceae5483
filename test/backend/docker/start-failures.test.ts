import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import pino from 'pino';
import { ImagePullError, StartFailedError, StartTimeoutError } from '../../../src/errors.ts';
import { withoutDocker } from '../../engines.ts';
import {
  containersOf,
  docker,
  imageWith,
  networkFor,
  never,
  openTerminal,
  ownNetworkFor,
  placeFor,
  quiet,
  removeContainer,
  removeNetwork,
  until,
} from './engine.ts';

const missing = 'localhost:1/no/such-image:1';
/** A shell that takes the place of Open Terminal. */
const entrypoint = (script: string) => `ENTRYPOINT ${JSON.stringify(['/bin/sh', '-c', script])}`;

function logged(): { lines: string[]; log: pino.Logger } {
  const lines: string[] = [];
  return { lines, log: pino({}, { write: (line: string) => void lines.push(line) }) };
}

describe('a start that fails', { skip: await withoutDocker() }, () => {
  test('for want of the image is a 503 that names the image and what to check', async (t) => {
    const place = await placeFor(t);
    const progress: string[] = [];
    const told = (detail: string) => void progress.push(detail);
    const desired = place.desired('alice', { image: missing });
    for (const attempt of [
      () => place.backend().prepare(desired.workload, told, never),
      async () => place.backend().create(desired, told, never),
    ]) {
      await assert.rejects(attempt, (error: unknown) => {
        assert.ok(error instanceof ImagePullError, String(error));
        assert.equal(error.status, 503);
        assert.ok(error.message.includes(missing), error.message);
        assert.match(error.hint, /policy.*network.*login/);
        return true;
      });
    }
    assert.ok(progress.includes(`pulling ${missing}`), 'nobody was told of the pull');
    assert.deepEqual(await containersOf(place.policy), []);
  });

  test('because its image was removed after it was prepared is told as a missing image', async (t) => {
    const place = await placeFor(t);
    const image = await imageWith(t);
    const backend = place.backend();
    const desired = place.desired('alice', { image: `localhost:1/${image}` });
    await docker.getImage(image).tag({ repo: `localhost:1/${image.split(':')[0]}`, tag: 'latest' });
    await backend.prepare(desired.workload, quiet, never);
    await docker.getImage(`localhost:1/${image}`).remove();
    await assert.rejects(backend.create(desired, quiet, never), ImagePullError);
  });

  test('because the container ends is answered at once, with its last lines in the log', async (t) => {
    const place = await placeFor(t);
    const script = 'for i in $(seq 1 30); do echo line $i; done; echo api_key=sesame; echo broken; exit 3';
    const image = await imageWith(t, entrypoint(script));
    const { lines, log } = logged();
    const began = performance.now();
    await assert.rejects(
      place.backend({ log }).create(place.desired('alice', { image }), quiet, never),
      (error) => {
        assert.ok(error instanceof StartFailedError);
        assert.match(error.message, /exit code 3: broken\.$/);
        assert.deepEqual(error.lastLines.slice(-3), ['line 30', 'api_key=[secret]', 'broken']);
        return true;
      },
    );
    assert.ok(performance.now() - began < 15_000, 'it waited for the start timeout of 60 s');
    const [line] = lines.filter((one) => one.includes('"exitCode":3'));
    assert.match(line ?? '', /"line 20","line 29|"line 30"/);
    assert.doesNotMatch(lines.join(''), /sesame/);
    assert.deepEqual(await containersOf(place.policy), []);
  });

  for (const [how, end] of [
    ['ends', 'exit 3'],
    ['does not answer', 'exec sleep 600'],
  ] as const) {
    test(`because it ${how} shows no value of a secret that it wrote, in whatever words`, async (t) => {
      const place = await placeFor(t);
      const secretsDir = await mkdtemp(path.join(os.tmpdir(), 'terminals-secrets-'));
      t.after(() => rm(secretsDir, { recursive: true }));
      await mkdir(path.join(secretsDir, 'db'));
      await writeFile(path.join(secretsDir, 'db/login'), 'app hunter2\n');
      await writeFile(path.join(secretsDir, 'db/key'), 'BEGIN\nMIIEvQ\nEND\n');
      const script = `echo "it is $LOGIN"; echo "$KEY"; echo "key $OPEN_TERMINAL_API_KEY"; echo "no $LOGIN@db"; ${end}`;
      const desired = place.desired('alice', {
        image: await imageWith(t, entrypoint(script)),
        secretEnv: { LOGIN: { name: 'db', key: 'login' }, KEY: { name: 'db', key: 'key' } },
        startTimeoutSeconds: 3,
      });
      const { lines, log } = logged();
      const shown = ['it is [secret]', '[secret]', '[secret]', 'END', 'key [secret]', 'no [secret]@db'];
      await assert.rejects(place.backend({ log, secretsDir }).create(desired, quiet, never), (error) => {
        assert.ok(error instanceof StartFailedError || error instanceof StartTimeoutError);
        assert.doesNotMatch(error.message, /hunter2/);
        assert.deepEqual(error.lastLines, shown);
        return true;
      });
      assert.match(lines.join(''), /it is \[secret\]/);
      assert.doesNotMatch(lines.join(''), /hunter2|MIIEvQ/);
    });
  }

  test('because a variable of the policy breaks Open Terminal says what it said', async (t) => {
    const place = await placeFor(t);
    const env = { OPEN_TERMINAL_API_KEY_FILE: '/nowhere' };
    const began = performance.now();
    await assert.rejects(
      place.backend().create(place.desired('alice', { env }), quiet, never),
      /ended while it started, with exit code 1: .*OPEN_TERMINAL_API_KEY/,
    );
    assert.ok(performance.now() - began < 15_000);
  });

  test('because what should run is not there is told in the words of the engine', async (t) => {
    const place = await placeFor(t);
    const image = await imageWith(t, 'ENTRYPOINT ["/no/such/program"]');
    await assert.rejects(
      place.backend().create(place.desired('alice', { image }), quiet, never),
      (error: unknown) => error instanceof StartFailedError && /\/no\/such\/program/.test(error.message),
    );
    assert.deepEqual(await containersOf(place.policy), []);
  });

  test('because a mount is not there names it', async (t) => {
    const place = await placeFor(t);
    const mounts = [{ source: '/no/such/folder', target: '/mnt', readOnly: true }];
    await assert.rejects(
      place.backend().create(place.desired('alice', { mounts }), quiet, never),
      (error: unknown) => error instanceof StartFailedError && /\/no\/such\/folder/.test(error.message),
    );
  });

  test('because nothing answers ends after the start timeout, and leaves no container', async (t) => {
    const place = await placeFor(t);
    const image = await imageWith(t, entrypoint('echo waiting; exec sleep 600'));
    const { lines, log } = logged();
    const began = performance.now();
    await assert.rejects(
      place.backend({ log }).create(place.desired('alice', { image, startTimeoutSeconds: 2 }), quiet, never),
      (error: unknown) => {
        assert.ok(error instanceof StartTimeoutError);
        assert.match(error.message, /within 2 seconds/);
        assert.match(error.hint, /startTimeoutSeconds/);
        assert.deepEqual(error.lastLines, ['waiting']);
        return true;
      },
    );
    const took = performance.now() - began;
    assert.ok(took > 1_400 && took < 15_000, `it took ${took} ms`);
    assert.match(lines.join(''), /"waiting"/);
    assert.deepEqual(await containersOf(place.policy), []);
  });

  test('because it is called off leaves no container', async (t) => {
    const place = await placeFor(t);
    const image = await imageWith(t, entrypoint('exec sleep 600'));
    const stop = new AbortController();
    const creation = place.backend().create(place.desired('alice', { image }), quiet, stop.signal);
    const rejected = assert.rejects(creation, /enough/);
    const { name } = place.desired('alice');
    const runs = async () => (await docker.getContainer(name).inspect()).State.Running;
    await until(() => runs().catch(() => false), 10_000);
    stop.abort(new Error('enough'));
    await rejected;
    assert.deepEqual(await containersOf(place.policy), []);
  });
});

describe('what was removed from outside', { skip: await withoutDocker() }, () => {
  test('a home that is gone is made again, empty', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const alice = await backend.create(place.desired('alice'), quiet, never);
    await backend.stop(alice.key, never);
    await rm(place.dataDir, { recursive: true });
    const again = await backend.start(place.desired('alice'), quiet, never);
    assert.equal(again.apiKey, alice.apiKey);
  });

  test('a network that was removed and made anew has its idle terminals made anew in it', async (t) => {
    const place = await placeFor(t);
    const network = await networkFor(t);
    const backend = place.backend({ networks: [network] });
    const before = await backend.create(place.desired('alice'), quiet, never);
    await backend.stop(before.key, never);
    assert.ok(await removeNetwork(network));
    await assert.rejects(
      backend.start(place.desired('alice'), quiet, never),
      (error: unknown) => error instanceof StartFailedError && error.message.includes(`"${network}"`),
    );
    await docker.createNetwork({ Name: network, Driver: 'bridge' });
    const after = await backend.start(place.desired('alice'), quiet, never);
    assert.equal(after.phase, 'Running');
    assert.equal((await containersOf(place.policy)).length, 1);
  });

  test('our own network is made again when it is gone', async (t) => {
    const place = await placeFor(t);
    const ownNetwork = ownNetworkFor(t);
    const backend = place.backend({ ownNetwork });
    const before = await backend.create(place.desired('alice'), quiet, never);
    await removeContainer(before.name);
    assert.ok(await removeNetwork(ownNetwork));
    const after = await backend.create(place.desired('alice'), quiet, never);
    assert.equal(after.phase, 'Running');
    const { HostConfig } = await docker.getContainer(after.name).inspect();
    assert.equal(HostConfig.NetworkMode, ownNetwork);
  });

  test('an image that is there is not asked for again', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const said: string[] = [];
    await backend.prepare(place.desired('alice').workload, (detail) => void said.push(detail), never);
    assert.deepEqual(said, [], `${openTerminal} was pulled`);
  });
});
