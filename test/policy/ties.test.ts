import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyText, setOf } from './fixtures.ts';

const tieOf = (a: readonly string[], b: readonly string[]) =>
  setOf({ 'a.yaml': policyText('a', ...a), 'b.yaml': policyText('b', ...b) }).problems;

const ties: readonly (readonly [a: string, b: string])[] = [
  ['groups: [data]', 'groups: [web, data]'],
  ['groups: ["ml-*"]', 'groups: [ml-vision]'],
  ['groups: [ml-vision]', 'groups: ["*"]'],
];
for (const [a, b] of ties) {
  test(`${a} and ${b} with one priority are said, and both are in force`, () => {
    const problems = tieOf([a], [b]);
    assert.equal(problems.length, 1);
    assert.equal(problems[0]?.severity, 'warning');
    assert.equal(problems[0]?.file, 'b.yaml');
    assert.match(problems[0]?.message ?? '', /"a" is for the same groups with the same priority/);
  });
}

const fine: readonly (readonly [a: readonly string[], b: readonly string[]])[] = [
  [['groups: [data]', 'priority: 1'], ['groups: [data]']],
  [['groups: [data]'], ['groups: [web]']],
  [['groups: [data]'], []],
];
for (const [a, b] of fine) {
  test(`${a.join(', ')} and ${b.join(', ') || 'no groups'} are no tie`, () =>
    assert.deepEqual(tieOf(a, b), []));
}
