import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NotFoundError, ShuttingDownError } from '../../src/errors.ts';
import { terminalName } from '../../src/terminal/names.ts';
import { harness, keyOf, MemoryPolicies, patient, policyOf, until } from './harness.ts';

const alice = keyOf('alice');
const name = terminalName(alice);

test('a stop keeps the terminal for the next request', async (t) => {
  const { backend, reconciler } = await harness(t);
  await reconciler.reach(alice, patient);
  await reconciler.order({ kind: 'stop', reason: 'asked' }, name);
  assert.equal(backend.actual(alice)?.phase, 'Idle');
  await reconciler.reach(alice, patient);
  assert.deepEqual(backend.changes, ['create', 'stop', 'start']);
});

test('a refresh removes it and keeps its files; the next request makes it anew', async (t) => {
  const { backend, reconciler } = await harness(t);
  await reconciler.reach(alice, patient);
  await reconciler.order({ kind: 'refresh', reason: 'asked' }, name);
  assert.equal(backend.actual(alice), undefined);
  await reconciler.reach(alice, patient);
  assert.deepEqual(backend.changes, ['create', 'remove', 'create']);
});

test('who waits while it is refreshed gets the new one', async (t) => {
  const { backend, reconciler } = await harness(t);
  await reconciler.reach(alice, patient);
  const refreshed = reconciler.order({ kind: 'refresh', reason: 'asked' }, name);
  await refreshed;
  const [one, other] = await Promise.all([
    reconciler.reach(alice, patient),
    reconciler.reach(alice, patient),
  ]);
  assert.equal(one.terminal, other.terminal);
  assert.equal(backend.count('create'), 2);
});

test('a terminal that nobody knows is an answer of 404', async (t) => {
  const { reconciler } = await harness(t);
  await assert.rejects(reconciler.order({ kind: 'stop', reason: 'asked' }, name), NotFoundError);
});

test('an order while it ends is refused', async (t) => {
  const { reconciler } = await harness(t);
  await reconciler.reach(alice, patient);
  await reconciler.close();
  await assert.rejects(reconciler.order({ kind: 'stop', reason: 'asked' }, name), ShuttingDownError);
});

test("a chat's terminal is deleted with its home when its retention is over", async (t) => {
  const days = 150 / 86_400_000;
  const policies = new MemoryPolicies(policyOf({ contextRetentionDays: days }));
  const { backend, reconciler } = await harness(t, { policies });
  const chat = keyOf('alice', 'default', 'chat:1');
  await reconciler.reach(chat, patient);
  await reconciler.reach(alice, patient);
  await until(() => backend.actual(chat) === undefined, 'it is deleted');
  assert.equal(backend.actual(alice)?.phase, 'Running');
});
