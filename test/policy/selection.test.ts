import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PolicyUnknownError } from '../../src/errors.ts';
import { selectPolicy } from '../../src/policy/selection.ts';
import { policyOf, policyText, setOf } from './fixtures.ts';

const set = setOf({ 'a.yaml': policyText('a'), 'b.yaml': policyText('b') });

test('the policy named in the path is taken', () => {
  assert.equal(selectPolicy(set, 'b'), policyOf(set, 'b'));
});

test('without a name it is the default', () => {
  assert.equal(selectPolicy(set, null), policyOf(set, 'default'));
});

for (const name of ['c', '', 'A', 'a ', 'constructor', '__proto__']) {
  test(`there is no policy ${JSON.stringify(name)}, which is an answer of 404 that names it`, () => {
    assert.throws(
      () => selectPolicy(set, name),
      (error) =>
        error instanceof PolicyUnknownError &&
        error.status === 404 &&
        error.message === `There is no policy "${name}".`,
    );
  });
}
