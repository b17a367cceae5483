import assert from 'node:assert/strict';
import { test } from 'node:test';
import { windowOpensAt } from '../../src/policy/schedule.ts';
import { policyText, setOf } from './fixtures.ts';

const problemsOf = (window: string) =>
  setOf({ 'a.yaml': policyText('a', `rollout: {window: ${window}}`) }).problems.map(({ path, hint }) => [
    path,
    hint,
  ]);

test('a window is a schedule of five fields in a timezone', () => {
  for (const window of [
    '{schedule: "0 2 * * 1-5", durationMinutes: 60}',
    '{schedule: "*/15 * * * *", durationMinutes: 5, timezone: America/New_York}',
  ])
    assert.deepEqual(problemsOf(window), [], window);
});

for (const schedule of ['at night', '* * * *', '0 0 2 * * *', '61 2 * * *', '@daily x x x x']) {
  test(`"${schedule}" is none, and what to write is said`, () => {
    const [[path, hint] = []] = problemsOf(`{schedule: "${schedule}", durationMinutes: 60}`);
    assert.equal(path, 'spec.rollout.window.schedule');
    assert.match(hint ?? '', /five fields/);
  });
}

test('a window that never opens is warned of', () => {
  const { policies, problems } = setOf({
    'a.yaml': policyText('a', 'rollout: {window: {schedule: "0 2 31 2 *", durationMinutes: 60}}'),
  });
  assert.deepEqual([...policies.keys()], ['a', 'default']);
  assert.deepEqual(
    problems.map(({ severity, path, message }) => `${severity}: ${path}: ${message}`),
    ['warning: spec.rollout.window.schedule: "0 2 31 2 *" has no moment to come'],
  );
});

test('a timezone that is none is said', () => {
  const [[path] = []] = problemsOf('{schedule: "0 2 * * *", durationMinutes: 60, timezone: Europe/Atlantis}');
  assert.equal(path, 'spec.rollout.window.timezone');
});

const window = { schedule: '0 2 * * *', durationMs: 3 * 3_600_000, timezone: 'Europe/Berlin' };

test('it is open from its start for its duration, and then opens the next day', () => {
  const at = (text: string) => Date.parse(text);
  assert.equal(windowOpensAt(window, at('2026-01-10T00:59:00Z')), at('2026-01-10T01:00:00Z'));
  assert.equal(windowOpensAt(window, at('2026-01-10T03:59:00Z')), at('2026-01-10T03:59:00Z'), 'still open');
  assert.equal(windowOpensAt(window, at('2026-01-10T04:01:00Z')), at('2026-01-11T01:00:00Z'));
});

test('it follows the clock of its timezone over a change to summer time', () => {
  const noon = { ...window, schedule: '0 12 * * *' };
  const before = windowOpensAt(noon, Date.parse('2026-03-28T00:00:00Z'));
  const after = windowOpensAt(noon, Date.parse('2026-03-30T00:00:00Z'));
  assert.equal(new Date(before ?? 0).toISOString(), '2026-03-28T11:00:00.000Z');
  assert.equal(new Date(after ?? 0).toISOString(), '2026-03-30T10:00:00.000Z');
});
