/** A new revision reaches the terminals of a policy one first, then the others; one that does not run reaches nobody. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ImagePullError, StartFailedError } from '../../src/errors.ts';
import type { PolicySpec } from '../../src/policy/policy.ts';
import { GoodStore } from '../../src/reconcile/good-store.ts';
import type { Desired } from '../../src/terminal/terminal.ts';
import { steady } from '../terminal/fixtures.ts';
import {
  capturedLog,
  gate,
  harness,
  keyOf,
  MemoryPolicies,
  patient,
  policyOf,
  turns,
  until,
} from './harness.ts';
import { MemoryBackend } from './memory-backend.ts';

const users = ['alice', 'bob', 'carol', 'dave'].map((user) => keyOf(user));
const [alice = keyOf('alice'), bob = keyOf('bob')] = users;

/** An image whose containers end at once. */
const bad = 'open-terminal:bad';

class PickyBackend extends MemoryBackend {
  override async create(desired: Desired, progress: (detail: string) => void) {
    if (desired.workload.image === bad) {
      await super.inspect(desired.key);
      throw new StartFailedError('It ended at once: no such module.', 'Look at its log.');
    }
    return super.create(desired, progress);
  }
}

const now = (image: string, changes: Partial<PolicySpec> = {}) =>
  policyOf({ image, rollout: { ...steady, when: 'now', idleAfterMinutes: 0 }, ...changes });

async function fourRunning(t: Parameters<typeof harness>[0]) {
  const backend = new PickyBackend();
  const made = await harness(t, { backend, policies: new MemoryPolicies(now('open-terminal:1')) });
  for (const key of users) await made.reconciler.reach(key, patient);
  const images = () => users.map((key) => backend.actual(key)?.fingerprint?.image);
  return { ...made, images };
}

test('a good revision reaches everybody', async (t) => {
  const { policies, images } = await fourRunning(t);
  policies.edit(now('open-terminal:2'));
  await until(() => images().every((image) => image === 'open-terminal:2'), 'all are on it');
});

test('one terminal goes first, and the others wait until it runs', async (t) => {
  const { backend, policies, images } = await fourRunning(t);
  const { passed, open } = gate();
  backend.inject('create', { before: () => passed });
  policies.edit(now('open-terminal:2'));
  await until(() => backend.count('remove') === 1, 'the first is on its way');
  await turns();
  assert.equal(backend.count('remove'), 1);
  assert.equal(images().filter((image) => image === 'open-terminal:1').length, 3);
  open();
  await until(() => images().every((image) => image === 'open-terminal:2'), 'all follow');
});

test('after the first, no more are missing at a time than maxUnavailable says', async (t) => {
  const { backend, policies, images } = await fourRunning(t);
  let most = 0;
  backend.inject('create', { before: () => turns(5) }, 4);
  const watch = setInterval(() => {
    most = Math.max(most, images().filter((image) => image === undefined).length);
  }, 0);
  t.after(() => clearInterval(watch));
  policies.edit(
    now('open-terminal:2', { rollout: { ...steady, when: 'now', idleAfterMinutes: 0, maxUnavailable: 1 } }),
  );
  await until(() => images().every((image) => image === 'open-terminal:2'), 'all are on it');
  assert.ok(most <= 1, `${most} were missing at once`);
});

test('a share of maxUnavailable is one of those that run: 10% of twenty are two', async (t) => {
  const backend = new MemoryBackend();
  const { policies, reconciler } = await harness(t, {
    backend,
    policies: new MemoryPolicies(now('open-terminal:1')),
  });
  const twenty = Array.from({ length: 20 }, (_, index) => keyOf(`user-${index}`));
  for (const key of twenty) await reconciler.reach(key, patient);
  let most = 0;
  backend.inject('create', { before: () => turns(5) }, 20);
  backend.called = () => {
    most = Math.max(most, twenty.filter((key) => backend.actual(key) === undefined).length);
  };
  policies.edit(now('open-terminal:2'));
  await until(
    () => twenty.every((key) => backend.actual(key)?.fingerprint?.image === 'open-terminal:2'),
    'all are on it',
  );
  assert.equal(most, 2);
});

test('a bad revision stalls, and everybody is on the last good one again', async (t) => {
  const { policies, reconciler, images, lines } = await fourRunning(t);
  const broken = now(bad);
  policies.edit(broken);
  await until(() => reconciler.rollouts.stateOf(broken).stalled !== null, 'it stalls');
  await until(() => images().every((image) => image === 'open-terminal:1'), 'all are back');
  const { failures, proven, stalled, inForce, revision } = reconciler.rollouts.stateOf(broken);
  assert.deepEqual([failures, proven], [3, false]);
  assert.notEqual(inForce, revision);
  assert.match(stalled?.reason ?? '', /It ended at once/);
  assert.ok(lines.some(({ msg }) => String(msg).startsWith('rollout stalled')));
});

test('while it is stalled, new users get the last good revision, and none of the bad one is tried', async (t) => {
  const { backend, policies, reconciler } = await fourRunning(t);
  const broken = now(bad);
  policies.edit(broken);
  await until(() => reconciler.rollouts.stateOf(broken).stalled !== null, 'it stalls');
  await turns();
  const before = backend.calls.length;
  const eve = keyOf('eve');
  const { terminal } = await reconciler.reach(eve, patient);
  assert.equal(terminal.fingerprint?.image, 'open-terminal:1');
  assert.equal(backend.calls.slice(before).filter(({ operation }) => operation === 'create').length, 1);
});

test('a user whose first request meets a bad revision gets a terminal all the same', async (t) => {
  const { policies, reconciler } = await fourRunning(t);
  policies.edit(now(bad, { rollout: { ...steady, when: 'nextStart', idleAfterMinutes: 5 } }));
  const { terminal } = await reconciler.reach(keyOf('eve'), patient);
  assert.equal(terminal.fingerprint?.image, 'open-terminal:1');
});

test('limits of a bad revision are in force in place all the same', async (t) => {
  const { backend, policies } = await fourRunning(t);
  const { resources } = policyOf().spec;
  policies.edit(now(bad, { resources: { ...resources, limits: { ...resources.limits, pids: 99 } } }));
  await until(() => users.every((key) => backend.actual(key)?.limits?.pids === 99), 'all have them');
});

test('the next edit goes on', async (t) => {
  const { policies, reconciler, images } = await fourRunning(t);
  const broken = now(bad);
  policies.edit(broken);
  await until(() => reconciler.rollouts.stateOf(broken).stalled !== null, 'it stalls');
  policies.edit(now('open-terminal:3'));
  await until(() => images().every((image) => image === 'open-terminal:3'), 'all are on the next one');
});

test('a retry goes on once the reason is mended elsewhere', async (t) => {
  const { backend, policies, reconciler, images } = await fourRunning(t);
  const next = now('open-terminal:2');
  const missing = () => {
    throw new ImagePullError('There is no such image.', 'Push it.');
  };
  backend.inject('prepare', { before: missing }, 3);
  policies.edit(next);
  await until(() => reconciler.rollouts.stateOf(next).stalled !== null, 'it stalls');
  assert.ok(images().every((image) => image === 'open-terminal:1'));
  assert.equal(backend.count('remove'), 0, 'nothing was taken down for an image that is not there');
  reconciler.rollouts.retry(next.id);
  await until(() => images().every((image) => image === 'open-terminal:2'), 'all are on it');
});

test('an engine that does not answer says nothing against a revision', async (t) => {
  const { backend, policies, reconciler, images } = await fourRunning(t);
  backend.up = false;
  const next = now('open-terminal:2');
  policies.edit(next);
  await turns();
  assert.equal(reconciler.rollouts.stateOf(next).failures, 0);
  backend.comesBack();
  await until(() => images().every((image) => image === 'open-terminal:2'), 'all are on it');
});

test('a first revision that does not run is told to who asks, since there is none to go back to', async (t) => {
  const policy = now(bad);
  const { reconciler } = await harness(t, {
    backend: new PickyBackend(),
    policies: new MemoryPolicies(policy),
  });
  for (let time = 0; time < 3; time += 1)
    await assert.rejects(async () => reconciler.reach(alice, patient), StartFailedError);
  assert.ok(reconciler.rollouts.stateOf(policy).stalled);
  await assert.rejects(
    async () => reconciler.reach(bob, patient),
    StartFailedError,
    'and is tried for who asks next',
  );
});

test('a suspended policy is left as it is', async (t) => {
  const { backend, policies, images } = await fourRunning(t);
  policies.edit(now('open-terminal:2', { suspend: true }));
  await turns();
  assert.ok(images().every((image) => image === 'open-terminal:1'));
  assert.equal(backend.count('remove'), 0);
});

test('a window that is closed holds replacements back, and nothing else', async (t) => {
  const { backend, policies, reconciler, images } = await fourRunning(t);
  const month = (new Date().getUTCMonth() + 6) % 12;
  const window = { schedule: `0 0 1 ${month + 1} *`, durationMinutes: 60, timezone: 'UTC' };
  policies.edit(now('open-terminal:2', { rollout: { ...steady, when: 'now', idleAfterMinutes: 0, window } }));
  await turns();
  assert.ok(images().every((image) => image === 'open-terminal:1'));
  const { terminal } = await reconciler.reach(keyOf('eve'), patient);
  assert.equal(terminal.fingerprint?.image, 'open-terminal:2', 'a new terminal is no replacement');
  await reconciler.order({ kind: 'stop', reason: 'test' }, [...reconciler.entries][0]?.name ?? terminal.name);
  await reconciler.reach(alice, patient);
  assert.equal(backend.actual(alice)?.fingerprint?.image, 'open-terminal:2', 'nor is a start');
});

test('what was good is known after a restart', async (t) => {
  const { log } = await capturedLog();
  const backend = new PickyBackend();
  const first = await harness(t, { backend, policies: new MemoryPolicies(now('open-terminal:1')) });
  await first.reconciler.reach(alice, patient);
  await first.reconciler.close();

  const broken = now(bad);
  const second = await harness(t, { backend, policies: new MemoryPolicies(broken), dataDir: first.dataDir });
  const { terminal } = await second.reconciler.reach(bob, patient);
  assert.equal(terminal.fingerprint?.image, 'open-terminal:1');
  assert.equal((await new GoodStore(first.dataDir, log).load()).size, 1);
});
