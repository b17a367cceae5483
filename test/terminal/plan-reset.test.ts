import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PlanInput, planTerminal } from '../../src/terminal/plan.ts';
import { desired, idle, minute, running, steady } from './fixtures.ts';

const weekly = { reset: { schedule: '@weekly', timezone: 'Europe/Berlin', keep: ['notes'] } };
const wanted = desired(weekly);
const day = 24 * 60 * minute;
const due = 10 * day;

function plan(changes: Partial<PlanInput>) {
  return planTerminal({
    desired: wanted,
    actual: running(wanted),
    requested: false,
    activity: { lastActivityAt: 0, inFlight: 0 },
    driftedSince: null,
    windowOpensAt: null,
    resetAt: due,
    now: due,
    ...changes,
  });
}

test('an unused terminal is reset when its schedule says so, and the reason names the schedule and the moment', () => {
  const { action } = plan({});
  assert.equal(action.kind, 'reset');
  assert.equal(
    action.reason,
    'its policy empties homes on schedule (@weekly, Europe/Berlin; due 1970-01-11T00:00:00.000Z)',
  );
});

test('before that it is looked at again at that moment', () => {
  const { action, deferred } = plan({
    now: due - 1,
    activity: { lastActivityAt: due - 20 * minute, inFlight: 0 },
  });
  assert.equal(action.kind, 'none');
  assert.deepEqual(
    deferred.map(({ kind, at }) => [kind, at]),
    [
      ['reset', due],
      ['stop', due + 10 * minute],
    ],
  );
});

test('one in use waits until nothing was proxied for rollout.idleAfterMinutes', () => {
  const activity = { lastActivityAt: due - 1, inFlight: 0 };
  const { action, deferred } = plan({ activity });
  assert.equal(action.kind, 'none');
  assert.deepEqual(
    deferred.filter(({ kind }) => kind === 'reset').map(({ at }) => at),
    [due - 1 + 5 * minute],
  );
  assert.equal(plan({ activity, now: due - 1 + 5 * minute }).action.kind, 'reset');
});

test('one with a request under way waits, however long that takes and whatever maxDelayMinutes is', () => {
  const patient = desired({
    ...weekly,
    idleTimeoutMinutes: 0,
    rollout: { ...steady, when: 'idle', idleAfterMinutes: 0, maxDelayMinutes: 1 },
  });
  const { action, deferred } = plan({
    desired: patient,
    actual: running(patient),
    activity: { lastActivityAt: 0, inFlight: 1 },
    now: due + 5 * day,
  });
  assert.equal(action.kind, 'none');
  assert.ok((deferred[0]?.at ?? 0) > due + 5 * day);
});

test('a stopped one is reset at once, however late it was used, and before anybody gets it', () => {
  const activity = { lastActivityAt: due - 1, inFlight: 0 };
  for (const requested of [false, true]) {
    assert.equal(plan({ actual: idle(wanted), activity, requested }).action.kind, 'reset');
  }
});

test('one that crashed is reset; one whose clock somebody stopped is left as it is', () => {
  const crashed = { ...idle(wanted), phase: 'Error', detail: 'it crashed', recover: 'replace' } as const;
  assert.equal(plan({ actual: crashed }).action.kind, 'reset');
  const { action, deferred } = plan({ actual: { ...crashed, recover: 'by-hand' } });
  assert.equal(action.kind, 'none');
  assert.deepEqual(deferred, []);
});

test('one that is started for somebody right now is in use', () => {
  const actual = { ...idle(wanted), phase: 'Provisioning', detail: 'starting' } as const;
  const activity = { lastActivityAt: due, inFlight: 0 };
  assert.equal(plan({ actual, activity, requested: true }).action.kind, 'start');
});

test('where there is no container any more but a home may be, it is emptied before the next one is made', () => {
  assert.equal(plan({ actual: undefined, requested: true }).action.kind, 'reset');
  assert.equal(plan({ actual: undefined, requested: true, now: due - 1 }).action.kind, 'create');
  assert.equal(plan({ actual: undefined }).action.kind, 'none');
});

test('a reset comes before a replacement, an update in place and a stop that are due as well', () => {
  const old = {
    ...running(desired({ image: 'open-terminal:0' })),
    limits: { cpuMillis: 1, memoryBytes: 1, pids: 1 },
  };
  assert.equal(plan({ actual: old, windowOpensAt: due }).action.kind, 'reset');
});

for (const [what, changes] of Object.entries<Partial<PlanInput>>({
  'whose policy is suspended': { desired: desired({ ...weekly, suspend: true }) },
  'whose policy has no reset': { desired: desired() },
  'whose policy is gone': { desired: undefined },
  'whose schedule is over': { resetAt: null },
})) {
  test(`one ${what} is never reset`, () => {
    for (const actual of [running(wanted), idle(wanted), undefined]) {
      for (const requested of [false, true]) {
        const { action, deferred } = plan({ actual, requested, now: due + 1000 * day, ...changes });
        assert.notEqual(action.kind, 'reset');
        assert.ok(deferred.every(({ kind }) => kind !== 'reset'));
      }
    }
  });
}

test('where other processes may use it too, it counts as used for as long as they take to tell', () => {
  const quick = desired({ ...weekly, rollout: { ...steady, when: 'idle', idleAfterMinutes: 0 } });
  const actual = { ...running(quick), operated: true } as const;
  const activity = { lastActivityAt: due, inFlight: 0 };
  assert.equal(plan({ desired: quick, actual, activity }).action.kind, 'none');
  assert.equal(plan({ desired: quick, actual, activity, now: due + 75_000 }).action.kind, 'reset');
});

test('a schedule is no part of the revision', () => {
  assert.equal(wanted.revision, desired().revision);
});
