/** Terminals that are started before anybody asks: how many there are, who gets one, and what a new revision does with them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineUnavailableError, StartFailedError } from '../../src/errors.ts';
import type { PolicySpec } from '../../src/policy/policy.ts';
import { isNobody } from '../../src/terminal/names.ts';
import type { Desired } from '../../src/terminal/terminal.ts';
import { steady } from '../terminal/fixtures.ts';
import {
  gate,
  type Harness,
  type HarnessOptions,
  harness,
  keyOf,
  MemoryPolicies,
  patient,
  policyOf,
  turns,
  until,
} from './harness.ts';
import { MemoryBackend } from './memory-backend.ts';

const warmPolicy = (changes: Partial<PolicySpec> = {}, id = 'default') =>
  policyOf({ warm: 2, rollout: { ...steady, when: 'idle', idleAfterMinutes: 5 }, ...changes }, id);

const nobodys = (backend: MemoryBackend, policy = 'default') =>
  backend.all.filter(({ key, phase }) => key.policy === policy && isNobody(key.user) && phase === 'Running');

async function ready(
  t: Parameters<typeof harness>[0],
  options: HarnessOptions = {},
  count = 2,
): Promise<Harness> {
  const made = await harness(t, { policies: new MemoryPolicies(warmPolicy()), ...options });
  await until(() => nobodys(made.backend).length === count, `${count} are ready`);
  await turns();
  return made;
}

const creationsOf = (backend: MemoryBackend, name: string) =>
  backend.calls.filter((call) => call.operation === 'create' && call.name === name).length;

test('as many are started as the policy says, and nobody sees them', async (t) => {
  const { backend, reconciler, policies } = await ready(t);
  assert.equal(backend.count('create'), 2);
  assert.deepEqual([...reconciler.entries], []);
  const [policy] = policies.current.policies.values();
  assert.equal(policy && reconciler.warm.ready(policy), 2);
});

test('a first request gets one that is ready, with its key and no start of its own, and it is filled up', async (t) => {
  const { backend, reconciler } = await ready(t);
  const keys = nobodys(backend).map((one) => one.phase === 'Running' && one.apiKey);
  const { terminal } = await reconciler.reach(keyOf('alice'), patient);
  assert.equal(creationsOf(backend, terminal.name), 0);
  assert.ok(keys.includes(terminal.apiKey));
  assert.equal(terminal.key.user, 'alice');
  await until(() => nobodys(backend).length === 2, 'it is filled up');
  assert.deepEqual(
    [...reconciler.entries].map(({ name }) => name),
    ['terminals-default-alice'],
  );
});

test('as many users at once as there are ready get one each, and the others start their own', async (t) => {
  const policies = new MemoryPolicies(warmPolicy({ warm: 5 }));
  const { backend, reconciler } = await ready(t, { policies }, 5);
  const users = Array.from({ length: 20 }, (_, index) => keyOf(`user${index}`));
  const reached = await Promise.all(users.map((key) => reconciler.reach(key, patient)));
  assert.equal(new Set(reached.map(({ terminal }) => terminal.apiKey)).size, 20);
  const started = reached.filter(({ terminal }) => creationsOf(backend, terminal.name) > 0);
  assert.ok(started.length >= 10 && started.length <= 15, `${started.length} started their own`);
  await until(() => nobodys(backend).length === 5, 'it is filled up');
});

test('one that is gone when it is claimed costs its user a start, and no failure', async (t) => {
  const { backend, reconciler } = await ready(t);
  backend.deaf = true;
  for (const { key } of nobodys(backend)) backend.outside(key, undefined);
  backend.deaf = false;
  const { terminal } = await reconciler.reach(keyOf('alice'), patient);
  assert.equal(creationsOf(backend, terminal.name), 1);
  backend.comesBack();
  await until(() => nobodys(backend).length === 2, 'they are made anew');
});

test('a claim of which nobody knows whether it came through is looked up, and nobody else gets that terminal', async (t) => {
  const { backend, reconciler } = await ready(t);
  const lost = () => {
    throw new EngineUnavailableError('The engine broke off.', 'Try again.');
  };
  backend.inject('claim', { after: lost });
  await assert.rejects(Promise.resolve(reconciler.reach(keyOf('alice'), patient)), EngineUnavailableError);
  const bob = await reconciler.reach(keyOf('bob'), patient);
  const alice = await reconciler.reach(keyOf('alice'), patient);
  assert.notEqual(alice.terminal.apiKey, bob.terminal.apiKey);
  assert.equal(creationsOf(backend, alice.terminal.name), 0);
  await until(() => nobodys(backend).length === 2, 'it is filled up');
});

test('limits that changed meanwhile are those of who claims one', async (t) => {
  const { backend, reconciler, policies } = await ready(t);
  const held = gate();
  backend.inject('update', { before: () => held.passed }, 2);
  const resources = {
    requests: { cpu: '100m', memory: '256Mi' },
    limits: { cpu: '2', memory: '1Gi', pids: 9 },
  };
  policies.edit(warmPolicy({ resources }));
  held.open();
  await reconciler.reach(keyOf('alice'), patient);
  await until(() => backend.all.every(({ limits }) => limits?.pids === 9), 'all have them');
  assert.equal(backend.count('remove'), 0);
});

test('fewer are wanted, or none since the policy is gone: the others are removed', async (t) => {
  const { backend, policies } = await ready(t);
  policies.edit(warmPolicy({ warm: 1 }));
  await until(() => backend.all.length === 1, 'one is left');
  policies.edit(policyOf({}, 'other'));
  await until(() => backend.all.length === 0, 'none is left');
});

test('what an earlier process left is taken up, and what is too much of it removed', async (t) => {
  const first = await ready(t, { policies: new MemoryPolicies(warmPolicy({ warm: 3 })) }, 3);
  await first.reconciler.close();
  const { backend, dataDir } = first;
  const [one] = nobodys(backend);
  assert.ok(one);
  const { key, name, revision, fingerprint, limits, idleTimeoutMs } = one;
  backend.outside(key, { phase: 'Idle', key, name, revision, fingerprint, limits, idleTimeoutMs });
  const created = backend.count('create');
  await harness(t, { backend, dataDir, policies: new MemoryPolicies(warmPolicy()) });
  await until(() => backend.all.length === 2 && nobodys(backend).length === 2, 'two are left');
  assert.equal(backend.count('create'), created);
  assert.equal(backend.actual(key), undefined);
});

test('a suspended policy is left as it is: none is started, replaced or removed', async (t) => {
  const { backend, policies, reconciler } = await ready(t);
  const changes = backend.changes.length;
  policies.edit(warmPolicy({ suspend: true, warm: 4, image: 'open-terminal:2' }));
  await turns();
  assert.equal(backend.changes.length, changes);
  await reconciler.reach(keyOf('alice'), patient);
  await turns();
  assert.equal(nobodys(backend).length, 1, 'it is not filled up');
});

test("one policy's failures leave the others theirs", async (t) => {
  class PickyBackend extends MemoryBackend {
    override async create(desired: Desired, progress: (detail: string) => void) {
      if (desired.key.policy === 'broken') throw new StartFailedError('It ended.', 'Look at its log.');
      return super.create(desired, progress);
    }
  }
  const policies = new MemoryPolicies(warmPolicy({}, 'broken'), warmPolicy({}, 'fine'));
  const { backend } = await harness(t, { backend: new PickyBackend(), policies });
  await until(() => nobodys(backend, 'fine').length === 2, 'the other has its own');
  assert.deepEqual(nobodys(backend, 'broken'), []);
});

test('one that does not start is tried again', async (t) => {
  const backend = new MemoryBackend();
  backend.inject('create', {
    before: () => {
      throw new StartFailedError('It ended.', 'Look at its log.');
    },
  });
  await ready(t, { backend });
  assert.equal(backend.count('create'), 3);
});

test('a backend that can not claim is asked for none', async (t) => {
  class PlainBackend extends MemoryBackend {
    constructor() {
      super();
      Reflect.defineProperty(this, 'claim', { value: undefined });
    }
  }
  const backend = new PlainBackend();
  const { reconciler } = await harness(t, { backend, policies: new MemoryPolicies(warmPolicy()) });
  await turns();
  assert.equal(backend.count('create'), 0);
  await reconciler.reach(keyOf('alice'), patient);
});

test('they outlast the idle timeout of their policy, which counts for who claims one', async (t) => {
  const policies = new MemoryPolicies(warmPolicy({ idleTimeoutMinutes: 0.0001 }));
  const { backend, reconciler } = await ready(t, { policies });
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(backend.count('stop'), 0);
  await reconciler.reach(keyOf('alice'), patient);
  await until(() => backend.actual(keyOf('alice'))?.phase === 'Idle', 'alice is idle');
});

test("a new revision is tried on one of them before any user's terminal, however idle", async (t) => {
  const rollout = { ...steady, when: 'now', idleAfterMinutes: 0 } as const;
  const { backend, policies, reconciler } = await ready(t, {
    policies: new MemoryPolicies(warmPolicy({ rollout })),
  });
  await reconciler.reach(keyOf('alice'), patient);
  await until(() => nobodys(backend).length === 2, 'it is filled up');
  await turns();
  const before = backend.calls.length;
  policies.edit(warmPolicy({ rollout, image: 'open-terminal:2' }));
  await until(
    () => backend.all.every(({ fingerprint }) => fingerprint?.image === 'open-terminal:2'),
    'all are on it',
  );
  const removed = backend.calls.slice(before).filter(({ operation }) => operation === 'remove');
  assert.match(removed[0]?.name ?? '', /^terminals-warm_/);
  assert.equal(removed.length, 3);
});

test("a revision that does not run is never tried on a user's terminal, and who comes gets the last good one", async (t) => {
  class PickyBackend extends MemoryBackend {
    override async create(desired: Desired, progress: (detail: string) => void) {
      if (desired.workload.image.endsWith(':bad')) {
        await super.inspect(desired.key);
        throw new StartFailedError('It ended.', 'Look at its log.');
      }
      return super.create(desired, progress);
    }
  }
  const rollout = { ...steady, when: 'now', idleAfterMinutes: 0, pauseOnFailures: 2 } as const;
  const { backend, policies, reconciler } = await ready(t, {
    backend: new PickyBackend(),
    policies: new MemoryPolicies(warmPolicy({ rollout })),
  });
  const alice = await reconciler.reach(keyOf('alice'), patient);
  await until(() => nobodys(backend).length === 2, 'it is filled up');
  policies.edit(warmPolicy({ rollout, image: 'open-terminal:bad' }));
  const [policy] = policies.current.policies.values();
  assert.ok(policy);
  await until(() => reconciler.rollouts.stateOf(policy).stalled !== null, 'it is stalled');
  await until(() => nobodys(backend).length === 2, 'two of the last good one are ready');
  assert.match(reconciler.rollouts.stateOf(policy).stalled?.terminal ?? '', /^terminals-warm_/);
  const bob = await reconciler.reach(keyOf('bob'), patient);
  assert.equal(bob.terminal.fingerprint?.image, 'open-terminal:1');
  assert.equal(creationsOf(backend, bob.terminal.name), 0);
  assert.equal(reconciler.running(keyOf('alice'))?.terminal.startedAt, alice.terminal.startedAt);
  assert.equal(reconciler.warm.ready(policy), 0, 'none of the newest');
});
