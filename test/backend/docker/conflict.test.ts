import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { StartFailedError } from '../../../src/errors.ts';
import { withoutDocker } from '../../engines.ts';
import {
  containersOf,
  docker,
  execute,
  never,
  openTerminal,
  placeFor,
  quiet,
  removeContainer,
} from './engine.ts';

describe('a container name that is taken', { skip: await withoutDocker() }, () => {
  test('by ours of this revision that runs: it is adopted with its key and its processes', async (t) => {
    const place = await placeFor(t);
    const before = await place.backend().create(place.desired('alice'), quiet, never);
    await execute(before, 'echo here > /tmp/mark');
    const after = await place.backend().create(place.desired('alice'), quiet, never);
    assert.deepEqual(after, before);
    assert.equal(await execute(after, 'cat /tmp/mark'), 'here');
    assert.equal((await containersOf(place.policy)).length, 1);
  });

  test('by ours of another revision: it is replaced, and the files stay', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const before = await backend.create(place.desired('alice'), quiet, never);
    await execute(before, 'echo kept > ~/note; touch /tmp/mark');
    const after = await backend.create(place.desired('alice', { env: { GREETING: 'hello' } }), quiet, never);
    assert.notEqual(after.apiKey, before.apiKey);
    assert.equal(
      await execute(after, 'echo $GREETING; cat ~/note; ls /tmp/mark 2>&1 | grep -c "No such"'),
      'hello\nkept\n1',
    );
    assert.equal((await containersOf(place.policy)).length, 1);
  });

  test('by ours that is stopped or paused: it is replaced', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    for (const take of ['kill', 'pause'] as const) {
      const before = await backend.create(place.desired('alice'), quiet, never);
      await docker.getContainer(before.name)[take]();
      const after = await backend.create(place.desired('alice'), quiet, never);
      assert.notEqual(after.apiKey, before.apiKey);
    }
    assert.equal((await containersOf(place.policy)).length, 1);
  });

  test('by a container that Terminals did not make: it is left alone, and the refusal names it', async (t) => {
    const place = await placeFor(t);
    const { name, key } = place.desired('alice');
    const foreign = await docker.createContainer({ name, Image: openTerminal });
    t.after(() => removeContainer(foreign.id));
    const backend = place.backend();
    await assert.rejects(backend.create(place.desired('alice'), quiet, never), (error: unknown) => {
      assert.ok(error instanceof StartFailedError);
      assert.match(error.message, /did not make/);
      assert.ok(error.message.includes(name) && error.hint.includes(name));
      return true;
    });
    assert.equal(await backend.inspect(key, never), undefined);
    await backend.remove(key, { files: true }, never);
    await backend.stop(key, never);
    assert.equal((await foreign.inspect()).Id, foreign.id);
  });

  test('for a moment, by one that is just being removed: its end is waited for', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const before = await backend.create(
      place.desired('alice', { persistence: { enabled: false } }),
      quiet,
      never,
    );
    // Removing what it wrote takes the engine a while.
    await execute(before, `python3 -c 'for i in range(5_000): open(f"/tmp/{i}", "w")'`);
    const removed = docker.getContainer(before.name).remove({ force: true });
    const creation = backend.create(place.desired('alice', { env: { A: '1' } }), quiet, never);
    const [, after] = await Promise.all([removed, creation]);
    assert.equal(await execute(after, 'echo $A'), '1');
  });

  test('ten creations of one terminal at once leave one container, and all answer with it', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const made = await Promise.all(
      Array.from({ length: 10 }, () => backend.create(place.desired('alice'), quiet, never)),
    );
    assert.equal(new Set(made.map(({ apiKey }) => apiKey)).size, 1);
    assert.equal((await containersOf(place.policy)).length, 1);
  });
});

describe('a new start of Terminals', { skip: await withoutDocker() }, () => {
  test('finds every container with its key, address and state by one listing', async (t) => {
    const place = await placeFor(t);
    const before = place.backend();
    const alice = await before.create(place.desired('alice'), quiet, never);
    const bob = await before.create(place.desired('bob', {}, 'chat:1'), quiet, never);
    await before.stop(bob.key, never);
    const started = place.backend();
    const found = (await started.list(never)).filter(({ key }) => key.policy === place.policy);
    assert.deepEqual(new Set(found.map(({ name }) => name)), new Set([alice.name, bob.name]));
    assert.equal(found.find(({ name }) => name === bob.name)?.phase, 'Idle');
    // It is young and this backend never saw it answer: it was asked.
    assert.deepEqual(
      found.find(({ name }) => name === alice.name),
      alice,
    );
    assert.deepEqual(await started.start(place.desired('alice'), quiet, never), alice);
    const again = await started.start(place.desired('bob', {}, 'chat:1'), quiet, never);
    assert.equal(again.apiKey, bob.apiKey);
    assert.equal(await execute(again, 'echo ok'), 'ok');
  });

  test('does not wait again for a container that has run for long', async (t) => {
    const place = await placeFor(t);
    const alice = await place.backend().create(place.desired('alice'), quiet, never);
    // Longer than its start time limit.
    t.mock.timers.enable({ apis: ['Date'], now: alice.startedAt + 61_000 });
    assert.deepEqual(await place.backend().inspect(alice.key, never), alice);
  });

  test('also finds what was created and never started, and starts it', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const alice = await backend.create(place.desired('alice'), quiet, never);
    const { Config, HostConfig } = await docker.getContainer(alice.name).inspect();
    await removeContainer(alice.name);
    await docker.createContainer({ name: alice.name, ...Config, HostConfig });
    const started = place.backend();
    assert.equal((await started.inspect(alice.key, never))?.phase, 'Idle');
    const running = await started.start(place.desired('alice'), quiet, never);
    assert.equal(running.apiKey, alice.apiKey);
  });
});
