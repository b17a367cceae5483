/** Packages of policies get into images before anybody asks, through the whole program. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { bakingContainers, deafIndex, removeBaked, workloadWith } from '../backend/docker/baked.ts';
import { withoutDocker } from '../engines.ts';
import { makePlace, type Place } from './place.ts';
import { asUser, key, type RunningProgram, serve, waitFor } from './program.ts';

const env = { PIP_OF_THIS_TEST: randomBytes(4).toString('hex') };
const good = { pipPackages: ['six'], env };
const broken = { pipPackages: ['six==0.0.0.1'], env };
const slow = { pipPackages: ['six'], env: { ...env, ...deafIndex } };

describe('packages of a policy', { skip: await withoutDocker() }, () => {
  let place: Place;
  let program: RunningProgram;

  before(async () => {
    place = await makePlace('docker');
    await place.declare('good', good);
    await place.declare('broken', broken);
    program = await serve(place.variables);
  });

  after(async () => {
    await program?.stop();
    await place?.clear();
    await removeBaked([good, broken, slow].map(workloadWith));
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
    await place.declare('slow', slow);
    await waitFor(
      async () => (await bakingContainers(workloadWith(slow))).length > 0 || undefined,
      30_000,
      () => program.log(),
    );
    await program.stop();
    assert.equal(program.child.exitCode, 0, program.log());
    assert.deepEqual(await bakingContainers(workloadWith(slow)), []);
  });
});
