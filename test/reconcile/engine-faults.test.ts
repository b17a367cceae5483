import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineUnavailableError, StartTimeoutError } from '../../src/errors.ts';
import { discoveryUser } from '../../src/terminal/names.ts';
import { steady } from '../terminal/fixtures.ts';
import { gate, harness, keyOf, MemoryPolicies, patient, policyOf, turns, until } from './harness.ts';
import { MemoryBackend } from './memory-backend.ts';

const alice = keyOf('alice');

test('an engine that is down at the start is no failure: requests are told, and once it is up everything is taken up', async (t) => {
  const first = await harness(t);
  await first.reconciler.reach(alice, patient);
  await first.reconciler.close();
  const { backend } = first;
  backend.up = false;
  const { reconciler } = await harness(t, { backend });
  assert.equal(reconciler.synced, false);
  await assert.rejects(async () => reconciler.reach(alice, patient), EngineUnavailableError);
  backend.comesBack();
  assert.equal(reconciler.synced, true);
  const { terminal } = await reconciler.reach(alice, patient);
  assert.equal(terminal, backend.actual(alice));
  assert.deepEqual(backend.changes, ['create']);
});

test('an engine that is up again is noticed by the resync, also when nobody says so', async (t) => {
  const backend = new MemoryBackend();
  backend.up = false;
  const { reconciler } = await harness(t, { backend, resyncMs: 20 });
  assert.equal(reconciler.synced, false);
  backend.up = true;
  await until(() => reconciler.synced, 'the resync');
});

test('an engine that goes away keeps nobody from a terminal that runs, and deletes nothing', async (t) => {
  const { backend, reconciler } = await harness(t, { resyncMs: 20 });
  const { terminal } = await reconciler.reach(alice, patient);
  backend.up = false;
  const listed = backend.count('list');
  await until(() => backend.count('list') > listed + 2, 'some resyncs failed');
  const reached = reconciler.reach(alice, patient);
  assert.ok(!(reached instanceof Promise));
  assert.equal(reached.terminal.startedAt, terminal.startedAt);
  assert.deepEqual(backend.changes, ['create']);
});

test('changes whose events were lost are found by the next resync', async (t) => {
  const { backend, reconciler } = await harness(t, { resyncMs: 20 });
  await reconciler.reach(alice, patient);
  await reconciler.reach(keyOf('bob'), patient);
  await turns();
  backend.deaf = true;
  await backend.stop(alice);
  backend.outside(keyOf('bob'), undefined);
  const phases = () =>
    Object.fromEntries([...reconciler.entries].map(({ key, actual }) => [key.user, actual?.phase]));
  await until(() => phases().alice === 'Idle' && !('bob' in phases()), 'both are known');
});

test('a terminal that a suspicion falls on is looked up again: gone, it is made anew', async (t) => {
  const { backend, reconciler } = await harness(t);
  const { terminal } = await reconciler.reach(alice, patient);
  await turns();
  backend.deaf = true;
  backend.outside(alice, undefined);
  await reconciler.suspect(alice, terminal);
  const again = await reconciler.reach(alice, patient);
  assert.notEqual(again.terminal.startedAt, terminal.startedAt);
  assert.equal(backend.count('create'), 2);
});

test('a suspicion that proves wrong costs one look: nothing is started, stopped or cut', async (t) => {
  const { backend, reconciler } = await harness(t);
  const { terminal } = await reconciler.reach(alice, patient);
  await turns();
  const gone: unknown[] = [];
  reconciler.onGone((each) => gone.push(each));
  const looked = backend.count('inspect');
  await reconciler.suspect(alice, terminal);
  const again = reconciler.reach(alice, patient);
  assert.ok(again instanceof Promise, 'nobody is sent there before it was looked up');
  assert.equal((await again).terminal.startedAt, terminal.startedAt);
  assert.equal(backend.count('inspect'), looked + 1);
  assert.deepEqual(backend.changes, ['create']);
  assert.deepEqual(gone, [], 'other requests to it go on');
});

test('a suspicion against one that was replaced meanwhile is none', async (t) => {
  const { backend, policies, reconciler } = await harness(t);
  const { terminal } = await reconciler.reach(alice, patient);
  policies.edit(
    policyOf({ image: 'open-terminal:2', rollout: { ...steady, when: 'now', idleAfterMinutes: 5 } }),
  );
  await until(() => backend.count('create') === 2, 'it is replaced');
  await turns();
  await reconciler.suspect(alice, terminal);
  assert.ok(!(reconciler.reach(alice, patient) instanceof Promise));
});

test('one that crashes in the middle of our own work on it is seen crashed', async (t) => {
  const { backend, policies, reconciler } = await harness(t);
  const { terminal } = await reconciler.reach(alice, patient);
  await turns();
  const held = gate();
  backend.inject('update', { after: () => held.passed });
  policies.edit(
    policyOf({
      resources: { requests: { cpu: 1, memory: 1 }, limits: { cpu: '2', memory: '1Gi', pids: 9 } },
    }),
  );
  await until(() => backend.actual(alice)?.limits?.cpuMillis === 2_000, 'the update had its effect');
  // The answer to the update is on its way while the terminal ends, and the event of its end overtakes it.
  backend.outside(alice, { ...terminal, phase: 'Error', detail: 'it ended with 137', recover: 'replace' });
  await turns();
  held.open();
  await until(() => [...reconciler.entries][0]?.actual?.phase === 'Error', 'the crash is known');
});

test('a list that was asked for before a terminal was made does not make it be forgotten', async (t) => {
  const { backend, reconciler } = await harness(t, { resyncMs: 50 });
  const held = gate();
  const listed = backend.count('list');
  backend.inject('list', { after: () => held.passed });
  await until(() => backend.count('list') === listed + 1, 'the resync began');
  await turns();
  const { terminal } = await reconciler.reach(alice, patient);
  await turns();
  const gone: unknown[] = [];
  reconciler.onGone((each) => gone.push(each));
  held.open();
  await turns();
  assert.deepEqual(gone, [], 'connections to it are not cut');
  const again = reconciler.reach(alice, patient);
  assert.ok(!(again instanceof Promise));
  assert.equal(again.terminal.startedAt, terminal.startedAt);
});

test('one that never answers after its start is replaced by the next request', async (t) => {
  const { backend, reconciler } = await harness(t);
  await reconciler.reach(alice, patient);
  await backend.stop(alice);
  await until(() => [...reconciler.entries][0]?.actual?.phase === 'Idle', 'the stop is noticed');
  backend.inject('start', {
    before: () => {
      throw new StartTimeoutError('It is not healthy after 15 seconds.', 'Try again.');
    },
  });
  await assert.rejects(async () => reconciler.reach(alice, patient), StartTimeoutError);
  const { terminal } = await reconciler.reach(alice, patient);
  assert.equal(terminal.phase, 'Running');
  assert.deepEqual(backend.changes, ['create', 'stop', 'start', 'prepare', 'remove', 'create']);
  assert.equal(backend.homes.size, 1);
});

test('who comes while a stop fails gets the terminal as it is: the failure is none of theirs', async (t) => {
  const policies = new MemoryPolicies(policyOf({ idleTimeoutMinutes: 0.001 }));
  const { backend, reconciler } = await harness(t, { policies });
  await reconciler.reach(alice, patient);
  const held = gate();
  backend.inject('stop', {
    before: async () => {
      await held.passed;
      throw new EngineUnavailableError('The engine does not answer.', 'Start it.');
    },
  });
  await until(() => backend.count('stop') === 1, 'it is tried');
  const reaching = reconciler.reach(alice, patient);
  held.open();
  assert.equal((await reaching).terminal.phase, 'Running');
  assert.deepEqual(backend.changes, ['create', 'stop']);
  await until(() => backend.count('stop') === 2, 'unused again, it is stopped');
});

test('a replacement that fails halfway leaves the home, and the next request makes the terminal', async (t) => {
  const { backend, policies, reconciler, lines } = await harness(t);
  await reconciler.reach(alice, patient);
  backend.inject('create', {
    before: () => {
      throw new EngineUnavailableError('The engine went away.', 'Start it.');
    },
  });
  policies.edit(
    policyOf({ image: 'open-terminal:2', rollout: { ...steady, when: 'now', idleAfterMinutes: 5 } }),
  );
  await until(() => lines.some(({ msg }) => msg === 'reconcile failed'), 'it failed');
  assert.equal(backend.actual(alice), undefined);
  assert.equal(backend.homes.size, 1);
  const { terminal } = await reconciler.reach(alice, patient);
  assert.equal(terminal.fingerprint?.image, 'open-terminal:2');
});

test('terminals of the discovery are no concern of the reconciler', async (t) => {
  const { backend, reconciler, policies } = await harness(t, { resyncMs: 20 });
  const { terminal } = await reconciler.reach(alice, patient);
  const key = { ...alice, user: discoveryUser };
  backend.outside(key, { ...terminal, key });
  policies.edit(
    policyOf({ image: 'open-terminal:2', rollout: { ...steady, when: 'now', idleAfterMinutes: 0 } }),
  );
  await until(() => backend.count('create') === 2, "alice's is replaced");
  await turns();
  assert.deepEqual(
    [...reconciler.entries].map(({ key: { user } }) => user),
    ['alice'],
  );
});

test('events in any number for one terminal do not pile up work', async (t) => {
  const { backend, reconciler } = await harness(t);
  const { terminal } = await reconciler.reach(alice, patient);
  await turns();
  const asked = backend.calls.length;
  for (let event = 0; event < 1_000; event += 1) backend.outside(alice, terminal);
  await turns();
  assert.ok(backend.calls.length <= asked + 1, `${backend.calls.length - asked} calls`);
  assert.deepEqual(backend.changes, ['create']);
});

test("no terminal's key is in the log", async (t) => {
  const { backend, reconciler, lines, policies } = await harness(t);
  const { terminal } = await reconciler.reach(alice, patient);
  backend.inject('update', {
    before: () => {
      throw Object.assign(new Error('failed'), { terminal });
    },
  });
  policies.edit(
    policyOf({
      resources: { requests: { cpu: 1, memory: 1 }, limits: { cpu: '2', memory: '1Gi', pids: 9 } },
    }),
  );
  await until(() => lines.some(({ msg }) => msg === 'reconcile failed'), 'the failure is in the log');
  assert.ok(!JSON.stringify(lines).includes(terminal.apiKey));
});

for (const late of ['a list', 'an event'] as const) {
  test(`${late} that tells of what was before a terminal ran neither closes its connections nor keeps anybody from it`, async (t) => {
    const { backend, reconciler } = await harness(t);
    const closed: string[] = [];
    reconciler.onGone(({ name }) => closed.push(name));
    backend.delays = [40];
    // Both are answered now, when there is nothing, and told once it runs.
    if (late === 'a list') backend.comesBack();
    else backend.outside(alice, undefined);
    await turns(21);
    const { terminal } = await reconciler.reach(alice, patient);
    await turns(60);
    assert.deepEqual(closed, []);
    const reached = reconciler.reach(alice, patient);
    assert.ok(!(reached instanceof Promise));
    assert.equal(reached.terminal.startedAt, terminal.startedAt);
    assert.deepEqual(backend.changes, ['create']);
  });
}
