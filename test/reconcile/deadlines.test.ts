import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { Deadlines } from '../../src/reconcile/deadlines.ts';
import type { TerminalName } from '../../src/terminal/terminal.ts';

/** Deadlines on a clock that the test moves. */
function onClock(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 0 });
  const due: { name: string; at: number }[] = [];
  const deadlines = new Deadlines((name) => due.push({ name, at: Date.now() }));
  t.after(() => deadlines.close());
  const set = (name: string, at: number | null) => deadlines.set(name as TerminalName, at);
  return { deadlines, due, set, tick: (ms: number) => t.mock.timers.tick(ms) };
}

test('each comes due at its time, in order of time, whatever order they were set in', (t) => {
  const { due, set, tick } = onClock(t);
  for (const at of [50, 10, 40, 20, 30]) set(`t${at}`, at);
  for (let now = 0; now < 60; now += 5) tick(5);
  assert.deepEqual(
    due.map(({ name, at }) => `${name} at ${at}`),
    ['t10 at 10', 't20 at 20', 't30 at 30', 't40 at 40', 't50 at 50'],
  );
});

test('a deadline moved later comes due once, at the later time', (t) => {
  const { due, set, tick } = onClock(t);
  set('a', 10);
  set('a', 30);
  tick(20);
  assert.deepEqual(due, []);
  tick(10);
  assert.deepEqual(due, [{ name: 'a', at: 30 }]);
  tick(100);
  assert.equal(due.length, 1);
});

test('a deadline moved earlier comes due once, at the earlier time', (t) => {
  const { due, set, tick } = onClock(t);
  set('a', 30);
  set('a', 10);
  tick(10);
  assert.deepEqual(due, [{ name: 'a', at: 10 }]);
  tick(100);
  assert.equal(due.length, 1);
});

test('a deadline taken away never comes due, and one set again does', (t) => {
  const { deadlines, due, set, tick } = onClock(t);
  set('a', 10);
  set('a', null);
  assert.equal(deadlines.size, 0);
  tick(20);
  assert.deepEqual(due, []);
  set('a', 30);
  set('a', null);
  set('a', 30);
  tick(20);
  assert.deepEqual(
    due.map(({ name }) => name),
    ['a'],
  );
});

test('a deadline in the past comes due at once', (t) => {
  const { due, set, tick } = onClock(t);
  tick(1_000);
  set('a', 500);
  tick(1);
  assert.equal(due.length, 1);
});

test('one that is set again while it comes due comes due again', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 0 });
  const times: number[] = [];
  const deadlines = new Deadlines((name) => {
    times.push(Date.now());
    if (times.length < 3) deadlines.set(name, Date.now() + 10);
  });
  t.after(() => deadlines.close());
  deadlines.set('a' as TerminalName, 10);
  for (let step = 0; step < 10; step += 1) t.mock.timers.tick(10);
  assert.deepEqual(times, [10, 20, 30]);
});

test('one beyond what a timer can hold (24.8 days) comes due at its time and not before', (t) => {
  const { due, set, tick } = onClock(t);
  const month = 31 * 24 * 3_600_000;
  set('a', month);
  tick(2 ** 31);
  assert.deepEqual(due, []);
  tick(month - 2 ** 31);
  assert.equal(due.length, 1);
});

test('closing clears the timer: nothing comes due any more', (t) => {
  const { deadlines, due, set, tick } = onClock(t);
  set('a', 10);
  deadlines.close();
  assert.equal(deadlines.size, 0);
  tick(100);
  assert.deepEqual(due, []);
});

test('whatever is set, moved and taken away: exactly the last deadline of each comes due, in order', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 0 });
  const operation = fc.tuple(fc.integer({ min: 0, max: 8 }), fc.option(fc.integer({ min: 1, max: 100 })));
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const began = Date.now();
      const due: [string, number][] = [];
      const wanted = new Map<string, number>();
      const deadlines = new Deadlines((name) => due.push([name, Date.now() - began]));
      for (const [who, at] of operations) {
        deadlines.set(`t${who}` as TerminalName, at === null ? null : began + at);
        if (at === null) wanted.delete(`t${who}`);
        else wanted.set(`t${who}`, at);
      }
      assert.equal(deadlines.size, wanted.size);
      for (let step = 0; step < 110; step += 1) t.mock.timers.tick(1);
      assert.deepEqual(new Map(due), wanted);
      assert.equal(due.length, wanted.size);
      assert.equal(deadlines.size, 0);
      deadlines.close();
    }),
    { numRuns: 100 },
  );
});

test('what is moved again and again holds no more than it needs', (t) => {
  const { deadlines, due, set, tick } = onClock(t);
  for (let at = 1; at <= 10_000; at += 1) {
    set('a', 100_000 + at);
    set('b', 90_000 - at);
    set('c', at);
    set('c', null);
  }
  assert.ok(deadlines.held < 200, `${deadlines.held} are held`);
  tick(200_000);
  assert.deepEqual(
    due.map(({ name }) => name),
    ['b', 'a'],
  );
  assert.deepEqual([deadlines.size, deadlines.held], [0, 0]);
});
