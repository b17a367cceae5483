import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StartFailedError } from '../../src/errors.ts';
import type { PolicySpec } from '../../src/policy/policy.ts';
import { terminalName } from '../../src/terminal/names.ts';
import type { Actual, Desired, RunningTerminal } from '../../src/terminal/terminal.ts';
import { steady } from '../terminal/fixtures.ts';
import { gate, harness, keyOf, MemoryPolicies, patient, policyOf, turns, until } from './harness.ts';
import { MemoryBackend } from './memory-backend.ts';

const alice = keyOf('alice');
/** 60 ms in minutes. */
const shortly = 0.001;

const more: Partial<PolicySpec> = {
  resources: {
    requests: { cpu: '100m', memory: '256Mi' },
    limits: { cpu: '2', memory: '4Gi', pids: 512 },
  },
};

function next(
  when: 'idle' | 'nextStart' | 'now',
  idleAfterMinutes = 5,
  maxDelayMinutes?: number,
): Partial<PolicySpec> {
  const delay = maxDelayMinutes === undefined ? {} : { maxDelayMinutes };
  return { image: 'open-terminal:2', rollout: { ...steady, when, idleAfterMinutes, ...delay } };
}

test('changed limits are changed in place, in use or not, and the terminal stays the same', async (t) => {
  const { backend, policies, reconciler } = await harness(t);
  const { terminal, use } = await reconciler.reach(alice, patient);
  use.begin();
  policies.edit(policyOf(more));
  await until(() => backend.actual(alice)?.limits?.cpuMillis === 2_000, 'the limits are there');
  await turns();
  const reached = await reconciler.reach(alice, patient);
  assert.equal(reached.terminal.startedAt, terminal.startedAt);
  assert.deepEqual(backend.changes, ['create', 'update']);
  use.end();
});

test('an edit that changes nothing of a terminal does nothing to it', async (t) => {
  const { backend, policies, reconciler } = await harness(t);
  await reconciler.reach(alice, patient);
  policies.edit(policyOf(), policyOf({ image: 'elsewhere:1' }, 'other'));
  policies.edit(policyOf());
  await turns();
  assert.deepEqual(backend.changes, ['create']);
});

test('rollout now: a changed image replaces the terminal at once; its image is there before the old one goes, its home stays', async (t) => {
  const { backend, policies, reconciler } = await harness(t);
  const { terminal, use } = await reconciler.reach(alice, patient);
  use.begin();
  const gone: number[] = [];
  reconciler.onGone(({ startedAt }) => gone.push(startedAt));
  policies.edit(policyOf(next('now')));
  await until(() => backend.count('create') === 2, 'it is replaced');
  await until(() => [...reconciler.entries][0]?.actual?.phase === 'Running', 'the new one runs');
  assert.deepEqual(backend.changes, ['create', 'prepare', 'remove', 'create']);
  assert.deepEqual(gone, [terminal.startedAt], 'connections to the old one are told, once');
  assert.equal(backend.homes.size, 1);
  use.end();
});

test('an image that can not be had takes nothing down', async (t) => {
  const { backend, policies, reconciler } = await harness(t);
  const { terminal } = await reconciler.reach(alice, patient);
  await turns();
  backend.inject(
    'prepare',
    {
      before: () => {
        throw new Error('no such image');
      },
    },
    10,
  );
  policies.edit(policyOf(next('now')));
  await until(() => backend.count('prepare') === 1, 'it was tried');
  await turns();
  assert.deepEqual(backend.changes, ['create', 'prepare']);
  assert.equal((await reconciler.reach(alice, patient)).terminal.startedAt, terminal.startedAt);
});

test('rollout idle: one with a request under way is not replaced; when it has been quiet for long enough, it is', async (t) => {
  const { backend, policies, reconciler } = await harness(t);
  const { use } = await reconciler.reach(alice, patient);
  use.begin();
  policies.edit(policyOf(next('idle', shortly)));
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.deepEqual(backend.changes, ['create'], 'still in use');
  use.end();
  await until(() => backend.count('create') === 2, 'it is replaced');
  assert.deepEqual(backend.changes, ['create', 'prepare', 'remove', 'create']);
});

test('rollout idle: the longest delay over, one in use is replaced all the same', async (t) => {
  const { backend, policies, reconciler } = await harness(t);
  const { use } = await reconciler.reach(alice, patient);
  use.begin();
  policies.edit(policyOf(next('idle', 5, shortly)));
  await until(() => backend.count('create') === 2, 'it is replaced');
  use.end();
});

test('rollout at the next start: one that runs stays; stopped and asked for, it is replaced', async (t) => {
  const { backend, policies, reconciler } = await harness(t);
  const { terminal } = await reconciler.reach(alice, patient);
  policies.edit(policyOf(next('nextStart')));
  await turns();
  assert.equal((await reconciler.reach(alice, patient)).terminal.startedAt, terminal.startedAt);
  await backend.stop(alice);
  await until(() => [...reconciler.entries][0]?.actual?.phase === 'Idle', 'the stop is noticed');
  const { terminal: renewed } = await reconciler.reach(alice, patient);
  assert.notEqual(renewed.revision, terminal.revision);
  assert.deepEqual(backend.changes, ['create', 'stop', 'prepare', 'remove', 'create']);
});

test('a policy that changes while its terminal is made: what comes out is by the new one', async (t) => {
  const { backend, policies, reconciler } = await harness(t);
  const held = gate();
  backend.inject('create', { before: () => held.passed });
  const reaching = Promise.resolve(reconciler.reach(alice, patient));
  await until(() => backend.count('create') === 1, 'the create began');
  policies.edit(policyOf({ ...next('now'), ...more }));
  held.open();
  const { terminal } = await reaching;
  assert.equal(terminal.limits?.cpuMillis, 2_000);
  assert.equal(terminal.fingerprint?.image, 'open-terminal:2');
});

test('a suspended policy leaves its terminals as they are', async (t) => {
  const { backend, policies, reconciler } = await harness(t);
  await reconciler.reach(alice, patient);
  policies.edit(policyOf({ ...next('now'), ...more, suspend: true, idleTimeoutMinutes: shortly }));
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(backend.changes, ['create']);
});

test('a policy that is gone: its terminals go idle by the timeout they were made with, and their files stay', async (t) => {
  const policies = new MemoryPolicies(policyOf({ idleTimeoutMinutes: shortly }));
  const { backend, reconciler } = await harness(t, { policies });
  const { use } = await reconciler.reach(alice, patient);
  use.begin();
  policies.edit();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(backend.changes, ['create'], 'still in use');
  use.end();
  await until(() => backend.actual(alice)?.phase === 'Idle', 'it is stopped');
  await turns();
  assert.deepEqual(backend.changes, ['create', 'stop']);
  assert.equal(backend.homes.size, 1);
});

test('a policy that comes back serves its terminals again', async (t) => {
  const { policies, backend, reconciler } = await harness(t);
  const { terminal } = await reconciler.reach(alice, patient);
  policies.edit();
  await turns();
  policies.edit(policyOf());
  assert.equal((await reconciler.reach(alice, patient)).terminal.startedAt, terminal.startedAt);
  assert.deepEqual(backend.changes, ['create']);
});

test('a shorter idle timeout counts at once for what runs', async (t) => {
  const { backend, policies, reconciler } = await harness(t);
  await reconciler.reach(alice, patient);
  policies.edit(policyOf({ idleTimeoutMinutes: shortly }));
  await until(() => backend.actual(alice)?.phase === 'Idle', 'it is stopped');
});

test('an update that fails is tried again later, not at once, and the terminal serves on', async (t) => {
  const { backend, policies, reconciler, lines } = await harness(t);
  const { terminal } = await reconciler.reach(alice, patient);
  await turns();
  t.mock.method(Math, 'random', () => 0);
  backend.inject('update', {
    before: () => {
      throw new Error('the engine refuses');
    },
  });
  policies.edit(policyOf(more));
  await until(() => lines.some(({ msg }) => msg === 'reconcile failed'), 'the failure is in the log');
  await turns();
  assert.equal(backend.count('update'), 1);
  assert.equal((await reconciler.reach(alice, patient)).terminal.startedAt, terminal.startedAt);
  await until(() => backend.count('update') === 2, 'it is tried again');
  await until(() => backend.actual(alice)?.limits?.cpuMillis === 2_000, 'and succeeds');
});

/** As Docker: what is started has the limits that it was made with. */
class KeepsLimits extends MemoryBackend {
  override async start(desired: Desired): Promise<RunningTerminal> {
    const limits = this.actual(desired.key)?.limits ?? desired.limits;
    const started = { ...(await super.start(desired)), limits };
    this.outside(desired.key, started);
    return started;
  }
}

test('who has a terminal started does not wait for limits that can not be changed, and gets it', async (t) => {
  const { backend, policies, reconciler } = await harness(t, { backend: new KeepsLimits() });
  await reconciler.reach(alice, patient);
  await reconciler.order({ kind: 'stop', reason: 'asked to' }, terminalName(alice));
  await turns();
  policies.edit(policyOf(more));
  const refuse = () => {
    throw new StartFailedError('The limits can not be changed in place.', 'Later.');
  };
  backend.inject('update', { before: refuse });
  const { terminal } = await reconciler.reach(alice, patient);
  assert.equal(terminal.phase, 'Running');
  await until(() => backend.count('update') === 1, 'it was tried');
});

/** An engine that takes a limit for the CPU and does not hold it. */
class WithoutCpuLimits extends MemoryBackend {
  override async update(desired: Desired): Promise<Actual> {
    const limits = { ...desired.limits, cpuMillis: 0 };
    const actual = { ...(await super.update(desired)), limits };
    this.outside(desired.key, actual);
    return actual;
  }
}

test('what the backend does not hold although it was told to is tried again later, and said once', async (t) => {
  t.mock.method(Math, 'random', () => 1);
  const backend = new WithoutCpuLimits();
  const { policies, reconciler, lines } = await harness(t, { backend, resyncMs: 20 });
  await reconciler.reach(alice, patient);
  policies.edit(policyOf(more));
  await until(() => backend.count('update') > 0, 'it was tried');
  const listed = backend.count('list');
  await until(() => backend.count('list') > listed + 5, 'it was looked at some times');
  assert.equal(backend.count('update'), 1);
  const said = lines.filter(({ msg }) => msg === 'what was changed in place is not held');
  assert.deepEqual(
    said.map(({ changes }) => changes),
    [[{ field: 'resources.limits.cpu', from: '0m', to: '2000m' }]],
  );
  await reconciler.reach(alice, patient);

  policies.edit(policyOf());
  await until(() => backend.count('update') > 1, 'another edit is another try');
});

test('what somebody undoes in the moment in which it is put right is put right again', async (t) => {
  const { backend, policies, reconciler } = await harness(t);
  await reconciler.reach(alice, patient);
  await turns();
  const limits = (pids: number) => ({ cpuMillis: 2_000, memoryBytes: 4 * 1024 ** 3, pids });
  const update = backend.update.bind(backend);
  let undone = false;
  t.mock.method(backend, 'update', async (desired: Desired) => {
    const actual = await update(desired);
    if (undone) return actual;
    undone = true;
    const byHand = { ...actual, limits: limits(77) };
    backend.outside(desired.key, byHand);
    return byHand;
  });
  policies.edit(policyOf(more));
  await until(() => undone, 'it was undone');
  await until(() => backend.actual(alice)?.limits?.pids === 512, 'it is as declared');
});
