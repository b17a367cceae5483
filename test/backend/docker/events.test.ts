import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { withoutDocker } from '../../engines.ts';
import { docker, never, placeFor, quiet, removeContainer, Told, until, watch } from './engine.ts';
import { proxyFor } from './engine-proxy.ts';

describe('what happens to a container from outside', { skip: await withoutDocker() }, () => {
  test('killed, started, stopped, paused, unpaused and removed: each is told as what it is', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const told = await watch(t, backend, place.key('alice'));
    const desired = place.desired('alice');
    const alice = await backend.create(desired, quiet, never);
    await told.phase('Provisioning');
    const container = docker.getContainer(alice.name);

    await container.kill();
    await told.phase('Idle');
    await backend.start(desired, quiet, never);
    await told.phase('Provisioning');
    await container.pause();
    await told.phase('Error');
    await container.unpause();
    await told.phase('Running');
    await container.stop({ t: 5 });
    await told.phase('Idle');
    await removeContainer(alice.name);
    await told.phase('gone');
  });

  test('a paused terminal is an error that only a hand undoes, and says how', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const alice = await backend.create(place.desired('alice'), quiet, never);
    await docker.getContainer(alice.name).pause();
    const actual = await backend.inspect(alice.key, never);
    assert.ok(actual?.phase === 'Error');
    assert.equal(actual.recover, 'by-hand');
    assert.match(actual.detail, new RegExp(`docker unpause ${alice.name}`));
  });

  test('the removal of a stopped container that was there before the watching is told', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const alice = await backend.create(place.desired('alice', {}, 'chat:1'), quiet, never);
    await backend.stop(alice.key, never);
    const told = await watch(t, place.backend(), place.key('alice'));
    await docker.getContainer(alice.name).remove();
    await told.phase('gone');
  });

  test('limits changed by hand are told, so that they can be put right', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const alice = await backend.create(place.desired('alice'), quiet, never);
    const told = await watch(t, backend, place.key('alice'));
    await docker.getContainer(alice.name).update({ PidsLimit: 55 });
    await told.phase('Running');
    const actual = await backend.inspect(alice.key, never);
    assert.equal(actual?.limits?.pids, 55);
  });

  test('a container renamed by hand is that terminal no more, and its name is free', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const told = await watch(t, backend, place.key('alice'));
    const desired = place.desired('alice');
    const first = await backend.create(desired, quiet, never);
    await told.phase('Provisioning');
    await docker.getContainer(first.name).rename({ name: `${first.name}-kept-for-a-look` });
    await told.phase('gone');
    assert.deepEqual(await mine(backend.list(never), place.policy), []);
    const second = await backend.create(desired, quiet, never);
    assert.notEqual(second.apiKey, first.apiKey);
    assert.deepEqual(await mine(backend.list(never), place.policy), [second.name]);
  });
});

async function mine(list: Promise<readonly { key: { policy: string }; name: string }[]>, policy: string) {
  return (await list).filter(({ key }) => key.policy === policy).map(({ name }) => name);
}

describe('a lost event stream', { skip: await withoutDocker() }, () => {
  test('is taken up again, and what happened meanwhile is listed', async (t) => {
    const place = await placeFor(t);
    const proxy = await proxyFor(t);
    const backend = place.backend({ docker: proxy.client });
    const alice = await backend.create(place.desired('alice'), quiet, never);
    const told = await watch(t, backend, place.key('alice'));
    await proxy.down();
    await docker.getContainer(alice.name).kill();
    await proxy.up();
    await until(() => told.relists.length > 1, 10_000);
    const relisted = told.relists.at(-1)?.find(({ name }) => name === alice.name);
    assert.equal(relisted?.phase, 'Idle');
    assert.deepEqual(told.phases, [], 'it was told, so the stream was never lost');

    await docker.getContainer(alice.name).start();
    await until(() => told.phases.length > 0, 5_000);
  });

  test('cut again and again, it is each time one stream', async (t) => {
    const place = await placeFor(t);
    const proxy = await proxyFor(t);
    const backend = place.backend({ docker: proxy.client });
    const told = await watch(t, backend, place.key('alice'));
    for (let times = 2; times <= 4; times += 1) {
      proxy.cut();
      await until(() => told.relists.length >= times, 5_000);
    }
    const streams = proxy.requests.filter((line) => line.startsWith('GET /events'));
    assert.equal(streams.length, 4);
    assert.equal(proxy.open('GET /events'), 1);
  });

  test('is given up where the listing after it fails, so that none is left open', async (t) => {
    const place = await placeFor(t);
    const proxy = await proxyFor(t);
    let failures = 2;
    proxy.passes = (request, answer) => {
      if (!request.startsWith('GET /containers/json') || failures === 0) return answer;
      failures -= 1;
      return Buffer.alloc(0);
    };
    const told = await watch(t, place.backend({ docker: proxy.client }), place.key('alice'));
    assert.equal(told.relists.length, 1);
    assert.equal(proxy.open('GET /events'), 1);
  });

  test('a list that is asked for while it is being opened comes after that, and is the one for both', async (t) => {
    const place = await placeFor(t);
    const proxy = await proxyFor(t);
    const backend = place.backend({ docker: proxy.client });
    const alice = await backend.create(place.desired('alice'), quiet, never);
    const bob = await backend.create(place.desired('bob'), quiet, never);
    const begun = proxy.requests.length;
    const stop = new AbortController();
    t.after(() => stop.abort());
    const told = new Told(place.key('alice'));
    backend.watch(told, stop.signal);
    const listed = await backend.list(never);
    await until(() => told.relists.length > 0, 5_000);
    assert.equal(told.relists[0], listed);
    const asked = proxy.requests.slice(begun).map((line) => line.split(/[ ?]/)[1]);
    assert.equal(asked[0], '/events');
    assert.equal(asked.filter((path) => path === '/containers/json').length, 1);

    const bobs = await backend.list(never, bob.key.user);
    assert.deepEqual(
      bobs.map(({ name }) => name),
      [bob.name],
    );
    assert.ok(listed.some(({ name }) => name === alice.name));
  });

  test('the end of the watching ends its stream', async (t) => {
    const place = await placeFor(t);
    const proxy = await proxyFor(t);
    const backend = place.backend({ docker: proxy.client });
    const told = new Told(place.key('alice'));
    const stop = new AbortController();
    backend.watch(told, stop.signal);
    await until(() => told.relists.length > 0, 5_000);
    assert.equal(proxy.open('GET /events'), 1);
    stop.abort();
    await until(() => proxy.open('GET /events') === 0, 5_000);
  });
});

describe('an engine that breaks off', { skip: await withoutDocker() }, () => {
  test('an answer cut in the middle ends the call, in the time of a call', async (t) => {
    const place = await placeFor(t);
    const alice = await place.backend().create(place.desired('alice'), quiet, never);
    const proxy = await proxyFor(t);
    let cut = false;
    proxy.passes = (request, answer) => {
      if (!request.includes('/json') || cut) return answer;
      cut = true;
      return answer.subarray(0, -10);
    };
    const backend = place.backend({ docker: proxy.client });
    const limit = AbortSignal.timeout(2_000);
    await assert.rejects(backend.inspect(alice.key, limit));
    assert.equal((await backend.inspect(alice.key, never))?.name, alice.name);
  });
});
