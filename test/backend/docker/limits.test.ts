import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Docker } from '../../../src/backend/docker/client.ts';
import { memoryUsed } from '../../../src/backend/docker/updating.ts';
import { StartFailedError } from '../../../src/errors.ts';
import { limitChanges } from '../../../src/terminal/changes.ts';
import { withoutDocker } from '../../engines.ts';
import { capturedLog } from '../../reconcile/harness.ts';
import { docker, execute, holdMemory, limitsFrom, never, placeFor, quiet, readLimits } from './engine.ts';
import { proxyFor } from './engine-proxy.ts';

describe('limits of a container', { skip: await withoutDocker() }, () => {
  test("the policy's limits stand in the container's own control group", async (t) => {
    const place = await placeFor(t);
    const limits = { cpu: '300m', memory: '200Mi', pids: 123 };
    const alice = await place
      .backend()
      .create(place.desired('alice', { resources: { limits } }), quiet, never);
    assert.deepEqual(limitsFrom(await execute(alice, readLimits)), {
      cpuMillis: 300,
      memoryBytes: 200 * 1024 ** 2,
      pids: 123,
    });
    assert.deepEqual(alice.limits, { cpuMillis: 300, memoryBytes: 200 * 1024 ** 2, pids: 123 });
    const { HostConfig } = await docker.getContainer(alice.name).inspect();
    assert.equal(HostConfig.MemorySwap, HostConfig.Memory, 'it can swap beyond its memory limit');
  });

  test('an update raises and lowers every limit of the same container and process', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const alice = await backend.create(place.desired('alice'), quiet, never);
    const before = await docker.getContainer(alice.name).inspect();
    for (const limits of [
      { cpu: 1, memory: '512Mi', pids: 400 },
      { cpu: '250m', memory: '160Mi', pids: 99 },
    ]) {
      const desired = place.desired('alice', { resources: { limits } });
      const updated = await backend.update(desired, never);
      assert.equal(updated.phase, 'Running');
      assert.deepEqual(updated.limits, desired.limits);
      assert.deepEqual(limitsFrom(await execute(alice, readLimits)), desired.limits);
    }
    const after = await docker.getContainer(alice.name).inspect();
    assert.equal(after.Id, before.Id);
    assert.equal(after.State.Pid, before.State.Pid);
    assert.equal(after.State.StartedAt, before.State.StartedAt);
  });

  test('a memory limit below what is in use waits until that has ended: nothing is killed, and all else is changed', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const before = { cpu: 1, memory: '512Mi', pids: 200 };
    const alice = await backend.create(
      place.desired('alice', { resources: { limits: before } }),
      quiet,
      never,
    );
    const pid = await holdMemory(alice, 300);
    const limits = { cpu: '250m', memory: '160Mi', pids: 99 };
    const desired = place.desired('alice', { resources: { limits } });
    await assert.rejects(backend.update(desired, never), (error: unknown) => {
      assert.ok(error instanceof StartFailedError);
      assert.match(error.message, /can't be lowered in place to 160 MiB: it uses 3\d\d MiB\.$/);
      assert.match(error.hint, /waits until the terminal uses less/);
      return true;
    });
    assert.equal(await execute(alice, `kill -0 ${pid} && echo runs`), 'runs');
    const others = { cpuMillis: 250, memoryBytes: 512 * 1024 ** 2, pids: 99 };
    assert.deepEqual(limitsFrom(await execute(alice, readLimits)), others);
    const seen = await backend.inspect(desired.key, never);
    assert.deepEqual([seen?.phase, seen?.limits], ['Running', others]);

    await execute(alice, `kill ${pid}; while kill -0 ${pid}; do sleep .1; done 2> /dev/null`);
    assert.deepEqual((await backend.update(desired, never)).limits, desired.limits);
    assert.deepEqual(limitsFrom(await execute(alice, readLimits)), desired.limits);
  });

  test('while it waits nothing is set again, whatever else the engine discards', async (t) => {
    const place = await placeFor(t);
    const proxy = await proxyFor(t);
    t.mock.method(proxy.client, 'info', async () => ({ CpuCfsQuota: false }));
    const backend = place.backend({ docker: proxy.client });
    const limits = { cpu: 1, memory: '512Mi', pids: 200 };
    const alice = await backend.create(place.desired('alice', { resources: { limits } }), quiet, never);
    await docker.getContainer(alice.name).update({ CpuPeriod: 100_000, CpuQuota: 40_000 });
    await holdMemory(alice, 300);
    const lower = place.desired('alice', { resources: { limits: { ...limits, memory: '160Mi' } } });
    await assert.rejects(backend.update(lower, never), /can't be lowered in place/);
    assert.deepEqual(
      proxy.requests.filter((request) => /^POST .*\/update /.test(request)),
      [],
    );
  });

  test('what uses more memory than its limit is killed, and the terminal with its limit goes on', async (t) => {
    const place = await placeFor(t);
    const limits = { cpu: 1, memory: '160Mi', pids: 100 };
    const alice = await place
      .backend()
      .create(place.desired('alice', { resources: { limits } }), quiet, never);
    const printed = await execute(alice, "python3 -c 'len(bytearray(400_000_000))'; echo code $?");
    assert.match(printed, /code 137$/);
    assert.equal(await execute(alice, 'echo here'), 'here');
  });

  for (const [what, cpu] of [
    ['above all cores of the host', 10_000],
    ['below a hundredth of one', '5m'],
  ] as const) {
    test(`a CPU limit ${what} is taken as it is`, async (t) => {
      const place = await placeFor(t);
      const limits = { cpu, memory: '256Mi', pids: 100 };
      const desired = place.desired('alice', { resources: { limits: { ...limits, cpu: 1 } } });
      const alice = await place.backend().create(desired, quiet, never);
      const changed = place.desired('alice', { resources: { limits } });
      assert.deepEqual((await place.backend().update(changed, never)).limits, changed.limits);
      await place.backend().update(desired, never);
      assert.equal(await execute(alice, 'echo here'), 'here');
    });
  }

  test('one that the engine can not hold is none of what is observed, and said to be not enforced', async (t) => {
    const place = await placeFor(t);
    const client = new Docker();
    const info = { CpuCfsQuota: true, MemoryLimit: false, PidsLimit: false };
    const asked = t.mock.method(client, 'info', async () => info);
    const { log, lines } = await capturedLog();
    const backend = place.backend({ docker: client, log });
    const desired = place.desired('alice');
    const alice = await backend.create(desired, quiet, never);
    // As such an engine leaves it: with other limits than were asked for.
    await docker.getContainer(alice.name).update({ PidsLimit: 55 });
    const listed = (await backend.list(never)).find(({ name }) => name === alice.name);
    for (const actual of [alice, await backend.inspect(desired.key, never), listed]) {
      assert.deepEqual(actual?.limits, { cpuMillis: 500 });
      assert.deepEqual(limitChanges(actual.limits, desired.limits), []);
    }
    const missing = ['resources.limits.memory', 'resources.limits.pids'];
    assert.deepEqual(backend.unenforced.slice(-2), missing);
    assert.deepEqual(
      lines.flatMap(({ unenforced }) => (unenforced === undefined ? [] : [unenforced])),
      [missing],
    );
    assert.equal(asked.mock.callCount(), 1);
  });

  test('an engine that does not say which it holds is taken for one that holds all, and asked again', async (t) => {
    const place = await placeFor(t);
    const client = new Docker();
    const answers = [() => Promise.reject(new Error('not now')), async () => ({ PidsLimit: false })];
    t.mock.method(client, 'info', () => answers.shift()?.());
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
    const backend = place.backend({ docker: client });
    const { limits } = place.desired('alice');
    const { key, limits: held } = await backend.create(place.desired('alice'), quiet, never);
    assert.deepEqual(held, limits);
    assert.ok(!backend.unenforced.includes('resources.limits.pids'));
    assert.deepEqual((await backend.inspect(key, never))?.limits, limits);
    t.mock.timers.tick(10_000);
    const { cpuMillis, memoryBytes } = limits;
    assert.deepEqual((await backend.inspect(key, never))?.limits, { cpuMillis, memoryBytes });
    assert.ok(backend.unenforced.includes('resources.limits.pids'));
    assert.deepEqual((await backend.inspect(key, never))?.limits, { cpuMillis, memoryBytes });
  });

  test('an engine that says nothing of it holds up the first look alone, and is not asked twice at a time', async (t) => {
    const place = await placeFor(t);
    const client = new Docker();
    const asked = t.mock.method(client, 'info', () => new Promise(() => undefined));
    const backend = place.backend({ docker: client });
    await backend.create(place.desired('alice'), quiet, never);
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 3_600_000 });
    await backend.inspect(place.key('alice'), never);
    assert.equal(asked.mock.callCount(), 1);
  });

  test('limits that the engine refuses are told in its words, and leave no container', async (t) => {
    const place = await placeFor(t);
    const limits = { cpu: 1, memory: '1Mi', pids: 100 };
    const desired = place.desired('alice', { resources: { limits } });
    await assert.rejects(place.backend().create(desired, quiet, never), (error: unknown) => {
      assert.ok(error instanceof StartFailedError);
      assert.match(error.message, /memory/i);
      assert.ok(error.hint.includes(`policy "${place.policy}"`));
      return true;
    });
    assert.equal(await place.backend().inspect(desired.key, never), undefined);
  });

  test('an update of a container that is gone says so', async (t) => {
    const place = await placeFor(t);
    await assert.rejects(
      place.backend().update(place.desired('alice'), never),
      /terminals-.*No such container/,
    );
  });
});

test('memory is in use but for the files that nobody reads any more, in control groups of both versions', () => {
  assert.equal(memoryUsed({ usage: 900, stats: { inactive_file: 300 } }), 600);
  assert.equal(memoryUsed({ usage: 900, stats: { inactive_file: 1, total_inactive_file: 300 } }), 600);
  assert.equal(memoryUsed({ usage: 900 }), 900);
  assert.equal(memoryUsed({}), 0);
});
