import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextMoment } from '../../src/policy/schedule.ts';
import { policyText, setOf } from './fixtures.ts';

function problemsOf(reset: string, ...more: string[]) {
  const { problems } = setOf({ 'a.yaml': policyText('a', `reset: ${reset}`, ...more) });
  return problems.map(({ severity, path, message, hint }) => ({ severity, path, message, hint }));
}

for (const schedule of [
  '@daily',
  '@weekly',
  '@monthly',
  '0 3 * * 1',
  '*/5 0-6 1,15 JAN-MAR MON#1',
  '2027-01-31T03:00:00',
  '2027-01-31T03:00',
  '2027-01-31T03:00:00Z',
  '2027-01-31T03:00:00+02:00',
  '2020-01-31T03:00:00',
]) {
  test(`"${schedule}" is a schedule`, () => {
    const problems = problemsOf(`{schedule: "${schedule}", timezone: Europe/Berlin}`);
    assert.deepEqual(
      problems.filter(({ severity }) => severity === 'error'),
      [],
    );
  });
}

for (const schedule of ['2020-01-31T03:00:00', '0 3 31 2 *']) {
  test(`"${schedule}", which never comes, is warned of`, () => {
    assert.deepEqual(problemsOf(`{schedule: "${schedule}"}`), [
      {
        severity: 'warning',
        path: 'spec.reset.schedule',
        message: `"${schedule}" has no moment to come`,
        hint: 'write another one, or leave it out',
      },
    ]);
  });
}

for (const schedule of [
  '@hourly',
  '@reboot',
  'weekly',
  '0 3 * *',
  '0 0 3 * * 1',
  '60 3 * * 1',
  'a b c d e',
  '2027-01-31',
  '2027-02-31T03:00:00',
  '2027-13-01T03:00:00',
  '2027-01-31T25:00:00',
  '2027-01-31 03:00:00',
  ' ',
]) {
  test(`"${schedule}" is no schedule, which is said with what to write`, () => {
    const [problem, ...others] = problemsOf(`{schedule: "${schedule}"}`);
    assert.deepEqual(others, []);
    assert.equal(problem?.path, 'spec.reset.schedule');
    assert.equal(problem?.message, `"${schedule}" is no schedule`);
    assert.match(problem?.hint ?? '', /@weekly.*0 3 \* \* 1/);
  });
}

test('a timezone is one of the database', () => {
  const [problem] = problemsOf('{schedule: "@daily", timezone: Europe/Atlantis}');
  assert.equal(problem?.path, 'spec.reset.timezone');
});

for (const kept of [
  '/etc',
  '..',
  'a/../b',
  '../other',
  '.',
  './a',
  'a//b',
  '/',
  '~',
  '~/a',
  'a/..',
  'a\\nb',
  'a\\0b',
]) {
  test(`"${kept}" can't be kept`, () => {
    const [problem, ...others] = problemsOf(`{schedule: "@daily", keep: [notes, "${kept}"]}`);
    assert.deepEqual(others, []);
    assert.equal(problem?.severity, 'error');
    assert.equal(problem?.path, 'spec.reset.keep[1]');
    assert.match(problem?.hint ?? '', /a path in the home/);
  });
}

test('plain paths can be kept, whatever is in their names', () => {
  assert.deepEqual(
    problemsOf('{schedule: "@daily", keep: [notes, .config/git/, "...", "a b/*", "~x", "é/\'$(x)"]}'),
    [],
  );
});

test('that nothing can be kept without persistence is a warning', () => {
  const [problem] = problemsOf('{schedule: "@daily", keep: [notes]}', 'persistence: {enabled: false}');
  assert.deepEqual([problem?.severity, problem?.path], ['warning', 'spec.reset.keep']);
  assert.deepEqual(problemsOf('{schedule: "@daily"}', 'persistence: {enabled: false}'), []);
});

const at = (text: string) => Date.parse(text);
const berlin = 'Europe/Berlin';
const moments: readonly (readonly [schedule: string, after: string, next: string | null])[] = [
  ['@weekly', '2026-11-24T12:00:00Z', '2026-11-28T23:00:00Z'],
  ['@monthly', '2026-11-24T12:00:00Z', '2026-11-30T23:00:00Z'],
  ['@daily', '2026-11-24T23:00:00Z', '2026-11-25T23:00:00Z'],
  ['2026-12-01T03:00:00', '2026-11-24T12:00:00Z', '2026-12-01T02:00:00Z'],
  ['2026-12-01T03:00:00', '2026-12-01T02:00:00Z', null],
  // The night in which the clock is put forward has no 2:30; it is done an hour later, and only then.
  ['30 2 * * *', '2026-03-28T12:00:00Z', '2026-03-29T01:00:00Z'],
  ['30 2 * * *', '2026-03-29T01:00:00Z', '2026-03-30T00:30:00Z'],
  // The night in which it is put back has two of them.
  ['30 2 * * *', '2026-10-24T12:00:00Z', '2026-10-25T00:30:00Z'],
  ['30 2 * * *', '2026-10-25T00:30:00Z', '2026-10-26T01:30:00Z'],
  ['0 0 30 2 *', '2026-10-25T00:30:00Z', null],
];
for (const [schedule, after, next] of moments) {
  test(`after ${after}, ${schedule} in ${berlin} is next ${next ?? 'never'}`, () => {
    assert.equal(nextMoment({ schedule, timezone: berlin }, at(after)), next === null ? null : at(next));
  });
}
