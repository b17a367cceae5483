import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { StartFailedError } from '../../src/errors.ts';
import { buildPolicySet } from '../../src/policy/policy-set.ts';
import { type Condition, PolicyStatuses } from '../../src/reconcile/policy-status.ts';
import { Templates } from '../../src/reconcile/templates.ts';
import { policyText, rulesWith } from '../policy/fixtures.ts';
import { harness, keyOf, MemoryPolicies, patient, policyOf, until } from './harness.ts';

const minute = 60_000;
const quick = { ...policyOf().spec.rollout, when: 'now' as const };

async function watched(t: TestContext, policies = new MemoryPolicies(policyOf({ rollout: quick }))) {
  const around = await harness(t, { policies });
  const changes: string[] = [];
  const clock = { now: 0 };
  const statuses = new PolicyStatuses({
    policies,
    entries: () => around.reconciler.entries,
    stateOf: (policy) => around.reconciler.rollouts.stateOf(policy),
    templates: new Templates({}),
    changed: (policy, { type, reason }) => changes.push(`${policy} ${type} ${reason}`),
    now: () => clock.now,
  });
  const status = () => [...statuses.all().values()][0] ?? assert.fail('no policy');
  const holds = () =>
    status().conditions.find(({ status: is }) => is === 'True') ?? assert.fail('none holds');
  const reach = async (user: string) => (await around.reconciler.reach(keyOf(user), patient)).terminal;
  return { ...around, statuses, status, holds, reach, changes, clock };
}

const words = ({ type, reason }: Condition) => `${type} ${reason}`;

test('a policy without terminals is ready', async (t) => {
  const { status, changes } = await watched(t);
  assert.deepEqual(
    status().conditions.map(({ type, status: is, reason }) => [type, is, reason]),
    [
      ['Ready', 'True', 'UpToDate'],
      ['Reconciling', 'False', 'UpToDate'],
      ['Stalled', 'False', 'UpToDate'],
    ],
  );
  assert.deepEqual(changes, [], 'what is well from the beginning is no news');
});

test('counts: idle ones apart, the others as desired, updated and available', async (t) => {
  const { reach, status, reconciler } = await watched(t);
  await reach('alice');
  const { name } = await reach('bob');
  await reconciler.order({ kind: 'stop', reason: 'test' }, name);
  await until(() => status().idle === 1, 'bob is idle');
  const { desired, updated, available, idle } = status();
  assert.deepEqual({ desired, updated, available, idle }, { desired: 1, updated: 1, available: 1, idle: 1 });
});

test('while terminals are on an older revision it reconciles, and is ready when all are on the new one', async (t) => {
  const waits = { ...quick, when: 'nextStart' as const };
  const { reach, policies, status, holds, clock, reconciler, changes } = await watched(t);
  const { name } = await reach('alice');
  assert.equal(words(holds()), 'Ready UpToDate');
  clock.now = 5 * minute;
  policies.edit(policyOf({ image: 'open-terminal:2', rollout: waits }));
  assert.equal(words(holds()), 'Reconciling RollingOut');
  assert.equal(holds().message, '0 of 1 terminal as declared');
  assert.deepEqual([status().desired, status().updated], [1, 0]);
  await reconciler.order({ kind: 'refresh', reason: 'test' }, name);
  await reach('alice');
  assert.equal(words(holds()), 'Ready UpToDate');
  assert.deepEqual(changes, ['default Reconciling RollingOut', 'default Ready UpToDate']);
});

test('since when a condition holds moves only when it changes', async (t) => {
  const { reach, policies, holds, clock, statuses } = await watched(t);
  await reach('alice');
  holds();
  clock.now = 5 * minute;
  assert.equal(holds().lastTransitionTime, new Date(0).toISOString());
  policies.edit(policyOf({ image: 'open-terminal:2', rollout: { ...quick, when: 'nextStart' } }));
  assert.equal(holds().lastTransitionTime, new Date(5 * minute).toISOString());
  clock.now = 9 * minute;
  assert.equal(holds().lastTransitionTime, new Date(5 * minute).toISOString());
  const [policy] = [...policies.current.policies.values()];
  assert.ok(policy);
  const stalled = statuses.of(policy).conditions.find(({ type }) => type === 'Stalled');
  assert.equal(stalled?.lastTransitionTime, new Date(0).toISOString(), 'this one did not change');
});

test('a rollout that fails is stalled, with the terminal and its reason, until a new edit or a retry', async (t) => {
  const { reach, policies, holds, status, backend, reconciler } = await watched(t);
  await reach('alice');
  const fails = { before: () => Promise.reject(new StartFailedError('The image is broken.', 'Mend it.')) };
  backend.inject('create', fails, 1);
  policies.edit(policyOf({ image: 'open-terminal:2', rollout: { ...quick, pauseOnFailures: 1 } }));
  await until(() => words(holds()) === 'Stalled RolloutFailed', 'it stalls');
  assert.match(holds().message, /^terminals-default-alice\S*: The image is broken\./);
  assert.notEqual(status().revision, status().revisionInForce);
  assert.equal(status().failures, 1);
  reconciler.rollouts.retry(policyOf().id);
  const proven = () => status().revision === status().revisionInForce;
  await until(() => words(holds()) === 'Ready UpToDate' && proven(), 'it goes on');
});

test('a policy whose file is broken is stalled with the place, while its last good version is in force', async (t) => {
  const policies = new MemoryPolicies(policyOf());
  const { statuses } = await watched(t, policies);
  const file = (text: string) => [{ path: 'policies/a.yaml', text }];
  const good = buildPolicySet(file(policyText('a', 'image: a:1')), null, rulesWith());
  policies.current = buildPolicySet(file(policyText('a', 'image: A B')), good, rulesWith());
  const status = [...statuses.all()].find(([id]) => id === 'a')?.[1] ?? assert.fail('a is gone');
  const stalled = status.conditions.find(({ type }) => type === 'Stalled');
  assert.deepEqual([stalled?.status, stalled?.reason], ['True', 'PolicyInvalid']);
  assert.match(stalled?.message ?? '', /the last good version is in force: policies\/a\.yaml:\d+: /);
  assert.equal(status.problems.length, 1);
  const other = [...statuses.all()].find(([id]) => id === 'default')?.[1];
  assert.equal(other?.conditions[0]?.status, 'True', 'nobody else is');
  assert.deepEqual(other?.problems, []);

  // A source out of reach says nothing new.
  policies.current = buildPolicySet({ unavailable: 'away' }, policies.current, rulesWith());
  const later = [...statuses.all()].find(([id]) => id === 'a')?.[1];
  assert.equal(later?.conditions.find(({ type }) => type === 'Stalled')?.status, 'True');
});

test('a suspended policy says so, ready where nothing is left to do', async (t) => {
  const { reach, policies, holds } = await watched(t);
  await reach('alice');
  policies.edit(policyOf({ suspend: true, rollout: quick }));
  assert.equal(words(holds()), 'Ready Suspended');
  policies.edit(policyOf({ suspend: true, rollout: quick, image: 'open-terminal:2' }));
  assert.equal(words(holds()), 'Stalled Suspended');
});

test('a start of a user is no reason not to be ready', async (t) => {
  const { reach, holds, backend } = await watched(t);
  await reach('bob');
  const { promise, resolve } = Promise.withResolvers<void>();
  backend.inject('create', { before: () => promise });
  const reached = reach('alice');
  await until(() => backend.count('create') === 2, 'it starts');
  assert.equal(words(holds()), 'Ready UpToDate');
  resolve();
  await reached;
});
