import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Census } from '../../src/reconcile/census.ts';
import type { Actual, RunningTerminal } from '../../src/terminal/terminal.ts';
import { aliceKey, desired, idle, running } from '../terminal/fixtures.ts';

const { policy } = aliceKey;
const { name, revision } = desired();

function starting(from = desired()): Actual {
  const { address: _address, apiKey: _key, startedAt: _at, ...seen } = running(from);
  return { ...seen, phase: 'Provisioning', detail: 'it starts', operated: true };
}

function census() {
  let now = 0;
  let passed = 0;
  const counted = new Census(
    () => {
      passed += 1;
    },
    () => now,
  );
  return { counted, passed: () => passed, at: (time: number) => (now = time) };
}

test('those that run are counted as they come and go', () => {
  const { counted } = census();
  const runs: RunningTerminal = running();
  counted.take(undefined, runs);
  counted.take(runs, { ...runs, startedAt: 9 });
  assert.equal(counted.running(policy), 1);
  counted.take(runs, idle());
  assert.equal(counted.running(policy), 0);
  counted.take(idle(), undefined);
  counted.take(undefined, runs);
  counted.take(runs, undefined);
  assert.equal(counted.running(policy), 0);
});

test('one on its way is known by its revision until it is through, which is told', () => {
  const { counted, passed } = census();
  counted.take(undefined, starting());
  assert.deepEqual(counted.starting(policy, revision, 1_000), [name]);
  assert.deepEqual(counted.starting(policy, desired({ image: 'open-terminal:2' }).revision, 1_000), []);
  counted.take(starting(), starting());
  assert.equal(passed(), 0);
  counted.take(starting(), running());
  assert.deepEqual([counted.starting(policy, revision, 1_000), passed()], [[], 1]);
});

test('one that goes to another revision is told as through with the first', () => {
  const { counted, passed } = census();
  const other = desired({ image: 'open-terminal:2' });
  counted.take(undefined, starting());
  counted.take(starting(), starting(other));
  assert.deepEqual(counted.starting(policy, other.revision, 1_000), [name]);
  assert.equal(passed(), 1);
});

test('one that never comes to run is on its way for a while only', () => {
  const { counted, at } = census();
  counted.take(undefined, starting());
  at(999);
  counted.take(starting(), starting());
  assert.equal(counted.starting(policy, revision, 1_000).length, 1);
  at(1_000);
  assert.equal(counted.starting(policy, revision, 1_000).length, 0);
});

test('what no operator brings up is nobody else’s business', () => {
  const { counted } = census();
  const { operated: _operated, ...own } = starting();
  counted.take(undefined, own);
  assert.deepEqual(counted.starting(policy, revision, 1_000), []);
});
