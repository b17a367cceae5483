/** Packages of policies get into images before anybody asks, through the whole program. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { bakedImages, bakingContainers, deafIndex } from '../backend/docker/baked.ts';
import { docker } from '../backend/docker/engine.ts';
import { withoutDocker } from '../engines.ts';
import { makePlace, type Place } from './place.ts';
import { asUser, key, type RunningProgram, serve, waitFor } from './program.ts';

const env = { PIP_OF_THIS_TEST: randomBytes(4).toString('hex') };

describe('packages of a policy', { skip: await withoutDocker() }, () => {
  let place: Place;
  let program: RunningProgram;
  let known: ReadonlySet<string>;

  before(async () => {
    place = await makePlace('docker');
    known = new Set((await bakedImages()).map(({ Id }) => Id));
    await place.declare('good', { pipPackages: ['six'], env });
    await place.declare('broken', { pipPackages: ['six==0.0.0.1'], env });
    program = await serve(place.variables);
  });

  after(async () => {
    await program?.stop();
    await place?.clear();
    for (const { Id } of await bakedImages()) {
      if (!known.has(Id)) await docker.getImage(Id).remove({ force: true });
    }
  });

  test('are in an image before anybody asks, and the first terminal has them without an install', async () => {
    await waitFor(
      () => program.log().includes('packages are in an image now') || undefined,
      60_000,
      () => program.log(),
    );
    const alice = asUser(program, 'alice', 'good');
    assert.equal(await alice.execute('python3 -c "import six; print(1)"'), '1');
    assert.equal(await alice.execute('env | grep -c OPEN_TERMINAL_PIP_PACKAGES || true'), '0');
  });

  test('that can not be had are a problem of the policy, and of no other', async () => {
    const problems = async () => {
      const response = await fetch(`${program.url}/api/v1/policies`, {
        headers: { authorization: `Bearer ${key}` },
      });
      const text = await response.text();
      return text.includes('every start installs them') ? text : undefined;
    };
    const text = await waitFor(problems, 60_000, () => program.log());
    assert.equal(text.split('every start installs them').length, 2, text);
    assert.match(text, /No matching distribution found for six==0\.0\.0\.1/);
  });

  test('that are being installed when Terminals ends leave nothing behind', async () => {
    await place.declare('slow', { pipPackages: ['six'], env: { ...env, ...deafIndex } });
    await waitFor(
      async () => (await bakingContainers()).length > 0 || undefined,
      30_000,
      () => program.log(),
    );
    await program.stop();
    assert.equal(program.child.exitCode, 0, program.log());
    assert.deepEqual(await bakingContainers(), []);
  });
});
