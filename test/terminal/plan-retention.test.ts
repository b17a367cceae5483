import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planTerminal } from '../../src/terminal/plan.ts';
import type { Actual, ContextId, Desired } from '../../src/terminal/terminal.ts';
import { aliceKey, desired, idle, minute, running } from './fixtures.ts';

const day = 24 * 60 * minute;
const chatKey = { ...aliceKey, context: 'chat:1' as ContextId };
const week = { contextRetentionDays: 7 };

function plan(wanted: Desired | undefined, actual: Actual, now: number, requested = false, inFlight = 0) {
  const activity = { lastActivityAt: 0, inFlight };
  return planTerminal({
    desired: wanted,
    actual,
    requested,
    activity,
    driftedSince: null,
    windowOpensAt: now,
    now,
  });
}

test("a chat's terminal that was not used for its retention is deleted, stopped or running", () => {
  const wanted = desired({ ...week, idleTimeoutMinutes: 0 }, chatKey);
  for (const actual of [idle(wanted), running(wanted)]) {
    const { action } = plan(wanted, actual, 7 * day);
    assert.equal(action.kind, 'delete');
    assert.match(action.reason, /its chat did not use it for 7 days/);
  }
});

test('until then it is looked at again at its end', () => {
  const wanted = desired(week, chatKey);
  const { action, deferred } = plan(wanted, idle(wanted), 7 * day - 1);
  assert.equal(action.kind, 'none');
  assert.deepEqual(
    deferred.map(({ kind, at }) => [kind, at]),
    [['delete', 7 * day]],
  );
});

test('one that is asked for at that moment is started, with its files', () => {
  const wanted = desired(week, chatKey);
  assert.equal(plan(wanted, idle(wanted), 8 * day, true).action.kind, 'start');
});

test('one with a request under way stays', () => {
  const wanted = desired({ ...week, idleTimeoutMinutes: 0 }, chatKey);
  assert.equal(plan(wanted, running(wanted), 8 * day, false, 1).action.kind, 'none');
});

const kept: readonly (readonly [what: string, wanted: Desired | undefined, actual: Actual])[] = [
  ["a user's own terminal", desired(week), idle(desired(week))],
  ['with a retention of 0', desired({ contextRetentionDays: 0 }, chatKey), idle(desired({}, chatKey))],
  ['of a suspended policy', desired({ ...week, suspend: true }, chatKey), idle(desired(week, chatKey))],
  ['of a policy that is gone', undefined, idle(desired(week, chatKey))],
];
for (const [what, wanted, actual] of kept) {
  test(`${what}: files are never deleted by time`, () => {
    const { action, deferred } = plan(wanted, actual, 10_000 * day);
    assert.notEqual(action.kind, 'delete');
    assert.ok(deferred.every(({ kind }) => kind !== 'delete'));
  });
}
