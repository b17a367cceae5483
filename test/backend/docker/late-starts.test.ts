import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { homePath } from '../../../src/backend/home.ts';
import { StartTimeoutError } from '../../../src/errors.ts';
import { withoutDocker } from '../../engines.ts';
import { fastServer, imageWith, never, placeFor, pythonEntrypoint, quiet } from './engine.ts';

/** Answers once there is a file `answer` in its home. */
const answersWhenTold = `import os,time
while not os.path.exists('/home/user/answer'): time.sleep(.05)
${fastServer}`;

/** One that ran, was stopped, and did not answer when it was started again. */
async function brokenTerminal(t: TestContext) {
  const place = await placeFor(t);
  const image = await imageWith(t, pythonEntrypoint(answersWhenTold));
  const backend = place.backend();
  const desired = place.desired('alice', { image, startTimeoutSeconds: 2 });
  const home = homePath(place.dataDir, desired.key);
  const answer = path.join(home, 'answer');
  await mkdir(home, { recursive: true });
  await writeFile(answer, '');
  await backend.create(desired, quiet, never);
  await backend.stop(desired.key, never);
  await rm(answer);
  await assert.rejects(backend.start(desired, quiet, never), StartTimeoutError);
  // Until it is older than its start may take.
  await sleep(2_000);
  const listed = async () => (await backend.list(never)).find(({ name }) => name === desired.name);
  return { place, backend, desired, answer, listed };
}

describe('a start that ran out of its time', { skip: await withoutDocker() }, () => {
  test('is not forgotten: whoever looks finds it broken, and the next start replaces it', async (t) => {
    const { backend, desired, answer, listed } = await brokenTerminal(t);
    for (const actual of [await listed(), await backend.inspect(desired.key, never)]) {
      assert.ok(actual?.phase === 'Error', `it is ${actual?.phase}`);
      assert.equal(actual.recover, 'replace');
      assert.match(actual.detail, /did not answer/);
    }
    await writeFile(answer, '');
    await backend.remove(desired.key, { files: false }, never);
    assert.equal((await backend.create(desired, quiet, never)).phase, 'Running');
    assert.equal((await backend.inspect(desired.key, never))?.phase, 'Running');
  });

  test('and answers after all is found to run by the next look at all', async (t) => {
    const { backend, desired, answer, listed } = await brokenTerminal(t);
    assert.equal((await listed())?.phase, 'Error');
    await writeFile(answer, '');
    await sleep(500);
    assert.equal((await listed())?.phase, 'Running');
    assert.equal((await backend.inspect(desired.key, never))?.phase, 'Running');
  });

  test('is found out anew after a restart of Terminals, by the first request that nobody takes', async (t) => {
    const { place, desired } = await brokenTerminal(t);
    const restarted = place.backend();
    const listed = (await restarted.list(never)).find(({ name }) => name === desired.name);
    assert.equal(listed?.phase, 'Running');
    const looked = await restarted.inspect(desired.key, never);
    assert.ok(looked?.phase === 'Provisioning', `it is ${looked?.phase}`);
    assert.equal(looked.detail, 'nobody listens at its address');
    await assert.rejects(restarted.start(desired, quiet, never), StartTimeoutError);
    assert.equal((await restarted.inspect(desired.key, never))?.phase, 'Error');
  });
});
