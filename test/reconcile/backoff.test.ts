import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs } from '../../src/reconcile/backoff.ts';

test('each failure doubles the wait, up to five minutes', () => {
  const longest = (failures: number) => backoffMs(failures, () => 1);
  assert.deepEqual([1, 2, 3, 4].map(longest), [1_000, 2_000, 4_000, 8_000]);
  assert.equal(longest(9), 256_000);
  for (const failures of [10, 50, 10_000]) assert.equal(longest(failures), 300_000);
});

test('half of the wait is random, so that many do not come back at once', () => {
  assert.equal(
    backoffMs(3, () => 0),
    2_000,
  );
  assert.equal(
    backoffMs(3, () => 0.5),
    3_000,
  );
  const waits = new Set(Array.from({ length: 20 }, () => backoffMs(5)));
  assert.ok(waits.size > 10);
  for (const wait of waits) assert.ok(wait >= 8_000 && wait <= 16_000, String(wait));
});
