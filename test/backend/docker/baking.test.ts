import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { labels } from '../../../src/backend/docker/container.ts';
import { withoutDocker } from '../../engines.ts';
import {
  bakedImages,
  bakeryFor,
  bakingContainers,
  installVariables,
  isBaked,
  logged,
  recipeFor,
} from './baked.ts';
import { docker, execute, never, openTerminal, quiet, removeContainer, until } from './engine.ts';

describe('packages in an image', { skip: await withoutDocker() }, () => {
  test('a start installs nothing and needs no network, and its terminal has the packages', async (t) => {
    const place = await bakeryFor(t);
    const desired = place.withPackages('alice', { packages: ['tree'], pipPackages: ['six==1.16.*', 'toml'] });
    const told: string[] = [];
    await place.backend().prepare(desired.workload, (detail) => void told.push(detail), never);
    assert.match(told.join('\n'), /installing packages into an image/);
    assert.deepEqual(await bakingContainers(desired.workload), []);

    const network = `terminals-test-${randomBytes(4).toString('hex')}`;
    await docker.createNetwork({ Name: network, Driver: 'bridge', Internal: true });
    t.after(() => docker.getNetwork(network).remove());
    t.after(() => removeContainer(desired.name));
    // Another process, whose terminals reach nothing; the image is there all the same.
    const { lines, log } = logged();
    const alice = await place.backend({ networks: [network], log }).create(desired, quiet, never);
    assert.deepEqual(await installVariables(alice.name), []);
    assert.match(await execute(alice, 'which tree'), /^\/usr\/bin\/tree$/);
    const versions = await execute(alice, 'python3 -c "import six, toml; print(six.__version__)"');
    assert.match(versions, /^1\.16\./);
    assert.doesNotMatch(lines.join(''), /in an image now/, 'it was baked twice');
    await removeContainer(alice.name);
  });

  test('the terminal has the revision of its policy, and is adopted as any other', async (t) => {
    const place = await bakeryFor(t);
    const desired = place.withPackages('alice', { pipPackages: ['six'] });
    const first = await place.backend().create(desired, quiet, never);
    assert.ok(await isBaked(desired.workload));
    const { Config: config } = await docker.getContainer(first.name).inspect();
    assert.equal(config.Labels[labels.revision], desired.revision);
    assert.equal(config.Labels[labels.fingerprint], JSON.stringify(first.fingerprint));
    const again = await place.backend().create(desired, quiet, never);
    assert.equal(again.apiKey, first.apiKey);
    assert.equal(again.startedAt, first.startedAt);
  });

  test('the image runs as the one it was made from', async (t) => {
    const place = await bakeryFor(t);
    const { workload } = place.withPackages('alice', { pipPackages: ['six'] });
    await place.backend().prepare(workload, quiet, never);
    const base = await docker.getImage(openTerminal).inspect();
    const { tag, env } = await recipeFor(workload);
    const baked = await docker.getImage(tag).inspect();
    // Which its terminals have anyway.
    assert.deepEqual(baked.Config.Env, [...base.Config.Env, ...env]);
    for (const field of ['Entrypoint', 'Cmd', 'User', 'WorkingDir', 'ExposedPorts', 'Volumes'] as const) {
      assert.deepEqual(baked.Config[field], base.Config[field], field);
    }
    for (const [label, value] of Object.entries(base.Config.Labels)) {
      assert.equal(baked.Config.Labels[label], value);
    }
    assert.equal(baked.Config.Labels[labels.managedBy], 'terminals');
  });

  test('what a user installs with pip comes before it, and stays over a replacement', async (t) => {
    const place = await bakeryFor(t);
    const backend = place.backend();
    const desired = place.withPackages('alice', { pipPackages: ['toml==0.10.1'] });
    const version = 'python3 -c "import toml; print(toml.__version__)"';
    const before = await backend.create(desired, quiet, never);
    assert.equal(await execute(before, version), '0.10.1');
    await execute(before, 'pip install --quiet --disable-pip-version-check toml==0.10.2');
    assert.equal(await execute(before, version), '0.10.2');
    await backend.remove(before.key, { files: false }, never);
    const after = await backend.create(desired, quiet, never);
    assert.equal(await execute(after, version), '0.10.2');
    const bob = await backend.create(
      { ...place.withPackages('bob', { pipPackages: ['toml==0.10.1'] }) },
      quiet,
      never,
    );
    assert.equal(await execute(bob, version), '0.10.1');
  });

  test('a policy that lets its terminals reach nothing has its packages all the same', async (t) => {
    const place = await bakeryFor(t);
    const desired = place.withPackages('alice', { pipPackages: ['six'], egress: { allowedDomains: [] } });
    const alice = await place.backend().create(desired, quiet, never);
    assert.deepEqual(await installVariables(alice.name), []);
    assert.equal(await execute(alice, 'python3 -c "import six; print(1)"'), '1');
    const download = 'pip download --retries 0 --timeout 3 --no-deps toml 2>&1 | tail -1';
    assert.match(await execute(alice, download), /ERROR/);
  });

  test('ten who ask at once have one bake', async (t) => {
    const place = await bakeryFor(t);
    const { lines, log } = logged();
    const backend = place.backend({ log });
    const desired = place.withPackages('alice', { pipPackages: ['six'] });
    const told = Array.from({ length: 9 }, () => [] as string[]);
    const [alice] = await Promise.all([
      backend.create(desired, quiet, never),
      ...told.map((own) => backend.prepare(desired.workload, (detail) => void own.push(detail), never)),
    ]);
    assert.deepEqual(await installVariables(alice.name), []);
    assert.equal(lines.filter((line) => line.includes('in an image now')).length, 1);
    for (const own of told) assert.ok(own.length > 0, 'somebody was told nothing');
    const { hash } = await recipeFor(desired.workload);
    assert.equal((await bakedImages(hash)).length, 1);
  });

  test('one who goes away while it is baked does not end it for the others', async (t) => {
    const place = await bakeryFor(t);
    const backend = place.backend();
    const { workload } = place.withPackages('alice', { pipPackages: ['six'] });
    const leaving = new AbortController();
    const left = assert.rejects(backend.prepare(workload, quiet, leaving.signal), /enough/);
    await until(async () => (await bakingContainers(workload)).length > 0, 30_000);
    const stays = backend.prepare(workload, quiet, never);
    leaving.abort(new Error('enough'));
    await left;
    await stays;
    assert.ok(await isBaked(workload));
  });

  test('an image that was removed from outside is baked anew', async (t) => {
    const place = await bakeryFor(t);
    const backend = place.backend();
    const desired = place.withPackages('alice', { pipPackages: ['six'] });
    await backend.prepare(desired.workload, quiet, never);
    await docker.getImage((await recipeFor(desired.workload)).tag).remove();
    const alice = await backend.create(desired, quiet, never);
    assert.deepEqual(await installVariables(alice.name), []);
    assert.ok(await isBaked(desired.workload));
  });
});
