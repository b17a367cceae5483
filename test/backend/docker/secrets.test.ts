import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { labels } from '../../../src/backend/docker/container.ts';
import { recipeOf } from '../../../src/backend/docker/recipe.ts';
import { SecretMissingError } from '../../../src/errors.ts';
import { withoutDocker } from '../../engines.ts';
import { docker, execute, never, placeFor, quiet } from './engine.ts';

const value = 'sk-very-secret';
const secretEnv = { OPENAI_API_KEY: { name: 'team-keys', key: 'openai' } };

/** A directory of secrets; `write` sets the value of the only one. */
async function secretsFor(t: TestContext) {
  const secretsDir = await mkdtemp(path.join(os.tmpdir(), 'terminals-secrets-'));
  t.after(() => rm(secretsDir, { recursive: true }));
  await mkdir(path.join(secretsDir, 'team-keys'));
  const file = path.join(secretsDir, 'team-keys/openai');
  return { secretsDir, file, write: (text: string) => writeFile(file, text) };
}

describe('a secret variable', { skip: await withoutDocker() }, () => {
  test('has its value in the terminal, and the value is in none of its labels', async (t) => {
    const place = await placeFor(t);
    const { secretsDir, write } = await secretsFor(t);
    await write(`${value}\n`);
    const desired = place.desired('alice', { secretEnv, env: { PLAIN: 'plain' } });
    const backend = place.backend({ secretsDir });
    const alice = await backend.create(desired, quiet, never);
    assert.equal(await execute(alice, 'echo "$OPENAI_API_KEY $PLAIN"'), `${value} plain`);
    const { Config } = await docker.getContainer(alice.name).inspect();
    assert.doesNotMatch(JSON.stringify(Config.Labels), /very-secret/);
    assert.equal(alice.fingerprint?.['secretEnv.OPENAI_API_KEY'], 'team-keys/openai');
    assert.doesNotMatch(JSON.stringify(await backend.list(never)), /very-secret/);
    assert.equal(backend.trouble(desired.workload), null);
  });

  test('without its file fails a start with the file to make, leaves nothing, and is known before', async (t) => {
    const place = await placeFor(t);
    const { secretsDir, file, write } = await secretsFor(t);
    const backend = place.backend({ secretsDir });
    const desired = place.desired('alice', { secretEnv });
    const says = (text: string) => text.includes('OPENAI_API_KEY') && text.includes(file);
    await assert.rejects(
      backend.create(desired, quiet, never),
      (error) =>
        error instanceof SecretMissingError &&
        says(error.message) &&
        error.message.includes(`policy "${place.policy}"`),
    );
    assert.equal(await backend.inspect(desired.key, never), undefined);
    assert.ok(says(backend.trouble(desired.workload) ?? ''));
    await write(value);
    assert.equal(backend.trouble(desired.workload), null);
    assert.equal(await execute(await backend.create(desired, quiet, never), 'echo $OPENAI_API_KEY'), value);
  });

  test('that has changed is taken at the next start, with the same files; a running one goes on', async (t) => {
    const place = await placeFor(t);
    const { secretsDir, file, write } = await secretsFor(t);
    await write('one');
    const backend = place.backend({ secretsDir });
    const desired = place.desired('alice', { secretEnv });
    const before = await backend.create(desired, quiet, never);
    await execute(before, 'echo kept > ~/note');
    const { Id: first } = await docker.getContainer(before.name).inspect();

    await write('two');
    const running = await backend.start(desired, quiet, never);
    assert.equal(await execute(running, 'echo $OPENAI_API_KEY'), 'one');
    await backend.stop(desired.key, never);
    const after = await backend.start(desired, quiet, never);
    assert.equal(await execute(after, 'echo $OPENAI_API_KEY; cat ~/note'), 'two\nkept');
    const { Id: second } = await docker.getContainer(before.name).inspect();
    assert.notEqual(second, first);

    await backend.stop(desired.key, never);
    assert.equal(await execute(await backend.start(desired, quiet, never), 'echo $OPENAI_API_KEY'), 'two');
    assert.equal((await docker.getContainer(before.name).inspect()).Id, second, 'unchanged, it is the same');

    await backend.stop(desired.key, never);
    await rm(file);
    await assert.rejects(backend.start(desired, quiet, never), SecretMissingError);
    assert.equal((await backend.inspect(desired.key, never))?.phase, 'Idle');
  });

  test('of another revision changes nothing at the start of a terminal that is to stay as it is', async (t) => {
    const place = await placeFor(t);
    const { secretsDir } = await secretsFor(t);
    const backend = place.backend({ secretsDir });
    const made = await backend.create(place.desired('alice'), quiet, never);
    await backend.stop(made.key, never);
    const started = await backend.start(place.desired('alice', { secretEnv, suspend: true }), quiet, never);
    assert.equal(started.revision, made.revision);
    const { Config } = await docker.getContainer(made.name).inspect();
    assert.equal(Config.Labels[labels.revision], made.revision);
  });

  test('is no part of an image with packages, whatever its name', (t) => {
    const pip = { PIP_INDEX_URL: secretEnv.OPENAI_API_KEY };
    const base = { Id: 'sha256:1', Config: {} } as Parameters<typeof recipeOf>[1];
    return placeFor(t).then((place) => {
      const recipe = (changes: object) =>
        recipeOf(place.desired('alice', { pipPackages: ['six'], ...changes }).workload, base);
      assert.deepEqual(recipe({ secretEnv: pip }), recipe({}));
    });
  });
});
