import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesOf } from '../../src/policy/spec-changes.ts';

test('only what differs is changed, as deep as it can be said', () => {
  const before = { image: 'a', env: { A: '1', B: '2' }, packages: ['x'], priority: 1 };
  const wanted = { image: 'a', env: { A: '1', B: '3', C: '4' }, packages: ['x', 'y'] };
  assert.deepEqual(changesOf(wanted, before), [
    { path: ['spec', 'env', 'B'], value: '3' },
    { path: ['spec', 'env', 'C'], value: '4' },
    { path: ['spec', 'packages'], value: ['x', 'y'] },
    { path: ['spec', 'priority'], value: undefined },
  ]);
  assert.deepEqual(changesOf(before, before), []);
});

test('where there was nothing everything is set', () => {
  assert.deepEqual(changesOf({ env: { A: '1' } }, null), [{ path: ['spec', 'env'], value: { A: '1' } }]);
});
