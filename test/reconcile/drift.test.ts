import assert from 'node:assert/strict';
import { test } from 'node:test';
import { driftOf, isSameInPlace } from '../../src/reconcile/drift.ts';
import type { Actual, Desired } from '../../src/terminal/terminal.ts';
import { desired, idle, running } from '../terminal/fixtures.ts';
import { harness, keyOf, MemoryPolicies, patient, policyOf, until } from './harness.ts';

const declared = desired();
const kinds = (before: Actual | undefined, after: Actual | undefined, as: Desired | undefined = declared) =>
  driftOf(before, after, as).map(({ kind }) => kind);
const smaller = { ...declared.limits, memoryBytes: 1 };
const astray = [{ field: 'network', from: null, to: 'team' }];

test('a limit that was as declared and is not any more is drift', () => {
  assert.deepEqual(driftOf(running(), { ...running(), limits: smaller }, declared), [
    { kind: 'limits', changes: [{ field: 'resources.limits.memory', from: '1', to: '1024Mi' }] },
  ]);
});

test('a limit that the policy changed is none, nor one that is put right', () => {
  const before = { ...running(), limits: smaller };
  assert.deepEqual(kinds(before, before), []);
  assert.deepEqual(kinds(before, running()), []);
  assert.deepEqual(kinds(undefined, before), [], 'of what was never seen before nobody knows');
});

test('only what can change in place, and differs by value, makes two observations different', () => {
  const settings = { suspend: 'false' };
  const before = { ...running(), settings };
  assert.ok(isSameInPlace(before, { ...before, limits: { ...before.limits }, settings: { ...settings } }));
  assert.ok(isSameInPlace(before, { ...idle(), settings }));
  assert.ok(!isSameInPlace(before, { ...before, limits: smaller }));
  assert.ok(!isSameInPlace(before, { ...before, limits: null }));
  assert.ok(!isSameInPlace(before, { ...before, settings: { suspend: 'true' } }));
  assert.ok(!isSameInPlace(before, { ...before, settings: { ...settings, reset: 'never' } }));
  assert.ok(!isSameInPlace({ ...before, settings: { ...settings, reset: 'never' } }, before));
  assert.ok(!isSameInPlace(before, running()));
  assert.ok(!isSameInPlace(before, undefined));
});

test('a lost network is drift once, also of what is seen for the first time', () => {
  const cut = { ...running(), astray };
  assert.deepEqual(kinds(running(), cut), ['network']);
  assert.deepEqual(kinds(undefined, cut), ['network']);
  assert.deepEqual(kinds(cut, cut), []);
});

test('what is gone was removed, unless it was on its way or an operator keeps it', () => {
  assert.deepEqual(kinds(running(), undefined), ['removed']);
  assert.deepEqual(kinds(idle(), undefined), ['removed']);
  assert.deepEqual(kinds(undefined, undefined), []);
  assert.deepEqual(
    kinds({ ...idle(), phase: 'Provisioning', detail: 'it is being replaced' }, undefined),
    [],
  );
  assert.deepEqual(kinds({ ...running(), operated: true }, undefined), []);
});

test('a stop from outside is no drift', () => {
  assert.deepEqual(kinds(running(), idle()), []);
});

test('limits changed by hand are put right once, in place, and said in the log', async (t) => {
  const { backend, reconciler, lines } = await harness(t);
  const key = keyOf('alice');
  const { terminal } = await reconciler.reach(key, patient);
  backend.outside(key, { ...terminal, limits: { ...terminal.limits, memoryBytes: 1 } });
  await until(() => backend.count('update') === 1, 'it is put right');
  await until(() => backend.actual(key)?.limits?.memoryBytes === 1024 ** 3, 'it is as declared');
  const [line, ...more] = lines.filter(({ msg }) => msg === 'drift');
  assert.deepEqual([line?.kind, line?.terminal, line?.user], ['limits', terminal.name, 'alice']);
  assert.deepEqual(more, []);
});

test('a policy that changes limits is not told as drift', async (t) => {
  const policies = new MemoryPolicies(policyOf());
  const { backend, reconciler, lines } = await harness(t, { policies });
  await reconciler.reach(keyOf('alice'), patient);
  const { resources } = policyOf().spec;
  policies.edit(policyOf({ resources: { ...resources, limits: { ...resources.limits, memory: '2Gi' } } }));
  await until(() => backend.count('update') === 1, 'it is updated');
  await reconciler.resync();
  assert.deepEqual(
    lines.filter(({ msg }) => msg === 'drift'),
    [],
  );
});

test('one that lost its network while it can still be reached has it back at once, though it is in use', async (t) => {
  const { backend, reconciler } = await harness(t);
  const key = keyOf('alice');
  const { terminal, use } = await reconciler.reach(key, patient);
  use.begin();
  backend.outside(key, { ...terminal, astray });
  await until(() => backend.count('update') === 1, 'it is put right');
  await until(
    () => [...reconciler.entries].every(({ actual }) => actual?.astray === undefined),
    'it is seen',
  );
  assert.equal(backend.count('remove'), 0);
  assert.equal((await reconciler.reach(key, patient)).terminal.startedAt, terminal.startedAt);
});
