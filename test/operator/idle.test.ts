import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wanted } from '../../src/operator/idle.ts';
import { stopAnnotation } from '../../src/operator/terminal-resource.ts';
import { terminal } from './fixtures.ts';

const minute = 60_000;
const createdAt = Date.parse('2026-01-01T10:00:00Z');
const at = (minutes: number) => new Date(createdAt + minutes * minute).toISOString();

test('a new Terminal is wanted, and looked at again when its timeout is over', () => {
  const want = wanted(terminal({ spec: { idleTimeoutMinutes: 30 } }), createdAt + minute);
  assert.equal(want.running, true);
  assert.equal(want.lookAgainAt, createdAt + 30 * minute);
});

test('once the timeout has passed since the last use it is idle, and the status keeps that use', () => {
  const used = terminal({ status: { lastActivityAt: at(10) } });
  assert.equal(wanted(used, createdAt + 40 * minute - 1).running, true);
  const want = wanted(used, createdAt + 40 * minute);
  assert.deepEqual([want.running, want.idleSince, want.lookAgainAt], [false, at(10), null]);
});

test('an idle one is woken by a use newer than the one it was stopped after, and by nothing else', () => {
  const idle = { lastActivityAt: at(10), idleSince: at(10) };
  assert.equal(wanted(terminal({ status: idle }), createdAt + 41 * minute).running, false);
  // A policy with a longer timeout wakes nobody.
  assert.equal(
    wanted(terminal({ spec: { idleTimeoutMinutes: 600 }, status: idle }), createdAt + 41 * minute).running,
    false,
  );
  const woken = { ...idle, lastActivityAt: at(41) };
  assert.equal(wanted(terminal({ status: woken }), createdAt + 41 * minute).running, true);
});

test('a use counts by the clock that wrote it: a wake stamped in the past of the operator still wakes', () => {
  const woken = { lastActivityAt: new Date(createdAt + 10 * minute + 1).toISOString(), idleSince: at(10) };
  assert.equal(wanted(terminal({ status: woken }), createdAt + 10 * minute + 2).running, true);
});

test('a timeout of 0 and a suspended Terminal are never idle by time', () => {
  for (const spec of [{ idleTimeoutMinutes: 0 }, { suspend: true }]) {
    const want = wanted(terminal({ spec }), createdAt + 1_000 * minute);
    assert.deepEqual([want.running, want.lookAgainAt], [true, null]);
  }
});

test('a stop that was asked for holds until a use after it', () => {
  const metadata = { annotations: { [stopAnnotation]: at(12) } };
  assert.equal(
    wanted(terminal({ metadata, status: { lastActivityAt: at(11) } }), createdAt + 13 * minute).running,
    false,
  );
  assert.equal(
    wanted(terminal({ metadata, status: { lastActivityAt: at(13) } }), createdAt + 13 * minute).running,
    true,
  );
});

test('a stop annotation that is no time is ignored', () => {
  const metadata = { annotations: { [stopAnnotation]: 'now' } };
  assert.equal(wanted(terminal({ metadata }), createdAt).running, true);
});
