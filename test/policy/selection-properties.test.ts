/** What holds of every selection, whatever the policies and the groups. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ForbiddenError, PolicyUnknownError } from '../../src/errors.ts';
import type { Group } from '../../src/identity/identity.ts';
import { matches } from '../../src/policy/check.ts';
import type { Policy, PolicySet } from '../../src/policy/policy.ts';
import { type Asked, explainSelection, selectPolicy } from '../../src/policy/selection.ts';
import { policyText, setOf } from './fixtures.ts';

const word = fc.stringMatching(/^[ab]{0,3}$/);
const pattern = fc
  .array(fc.oneof(word, fc.constant('*')), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join(''));
const policy = fc.record({
  name: fc.constantFrom('default', 'a', 'b', 'c', 'd'),
  groups: fc.option(
    fc.array(
      pattern.filter((text) => text !== ''),
      { minLength: 1, maxLength: 3 },
    ),
  ),
  priority: fc.integer({ min: 0, max: 2 }),
});
const policies = fc.uniqueArray(policy, { selector: ({ name }) => name, maxLength: 5 });
const group: fc.Arbitrary<Group> = fc.record({ id: fc.option(word), name: word });
const asked: fc.Arbitrary<Asked> = fc.record({
  named: fc.option(fc.constantFrom('default', 'a', 'b', 'c', 'nothing')),
  groups: fc.option(fc.array(group, { maxLength: 3 })),
});
const unknownGroups = fc.constantFrom('allow' as const, 'deny' as const);

interface Declared {
  readonly name: string;
  readonly groups: readonly string[] | null;
  readonly priority: number;
}

function setFrom(declared: readonly Declared[]): PolicySet {
  const files = declared.map(({ name, groups, priority }) => [
    `${name}.yaml`,
    policyText(
      name,
      `priority: ${priority}`,
      ...(groups === null ? [] : [`groups: ${JSON.stringify(groups)}`]),
    ),
  ]);
  const set = setOf(Object.fromEntries(files));
  assert.ok(set.problems.every(({ severity }) => severity === 'warning'));
  return set;
}

function outcome(set: PolicySet, what: Asked, unknown: 'allow' | 'deny'): Policy | Error {
  try {
    return selectPolicy(set, what, unknown);
  } catch (error) {
    assert.ok(error instanceof ForbiddenError || error instanceof PolicyUnknownError, String(error));
    return error;
  }
}

/** Written apart from the code under test, by the definition of a pattern. */
function meant(text: string, one: Group): boolean {
  const source = new RegExp(`^${text.split('*').join('.*')}$`);
  return source.test(one.name) || (one.id !== null && source.test(one.id));
}

const runs = { numRuns: 2_000 };

test('a policy is never granted to known groups that it is not for', () => {
  fc.assert(
    fc.property(policies, asked, unknownGroups, (declared, what, unknown) => {
      const found = outcome(setFrom(declared), what, unknown);
      if (found instanceof Error || what.groups === null || found.spec.groups === undefined) return;
      const { groups } = found.spec;
      assert.ok(what.groups.some((one) => groups.some((text) => meant(text, one))));
    }),
    runs,
  );
});

test('it does not depend on the order of the files or of the groups', () => {
  fc.assert(
    fc.property(policies, asked, unknownGroups, (declared, what, unknown) => {
      const one = outcome(setFrom(declared), what, unknown);
      const backwards = { ...what, groups: what.groups === null ? null : [...what.groups].reverse() };
      const other = outcome(setFrom([...declared].reverse()), backwards, unknown);
      assert.equal(
        one instanceof Error ? one.message : one.id,
        other instanceof Error ? other.message : other.id,
      );
    }),
    runs,
  );
});

test('no matching policy has a higher priority than the one selected by groups', () => {
  fc.assert(
    fc.property(policies, asked, unknownGroups, (declared, what, unknown) => {
      const set = setFrom(declared);
      const found = outcome(set, { ...what, named: null }, unknown);
      const matching = [...set.policies.values()].filter(({ spec }) =>
        spec.groups?.some((text) => what.groups?.some((one) => meant(text, one))),
      );
      if (matching.length === 0 || found instanceof Error) return assert.equal(matching.length, 0);
      assert.equal(found.spec.priority, Math.max(...matching.map(({ spec }) => spec.priority)));
    }),
    runs,
  );
});

test('the explanation says what is selected', () => {
  fc.assert(
    fc.property(policies, asked, unknownGroups, (declared, what, unknown) => {
      const set = setFrom(declared);
      const found = outcome(set, what, unknown);
      const explained = explainSelection(set, what, unknown);
      assert.equal(explained.kind === 'selected', !(found instanceof Error));
      if (explained.kind === 'selected') assert.equal(explained.policy, found);
    }),
    runs,
  );
});

test('a pattern means what its * says, in time that does not explode', () => {
  fc.assert(
    fc.property(pattern, word, (text, name) => {
      assert.equal(matches(text, name), new RegExp(`^${text.split('*').join('.*')}$`).test(name));
    }),
    { numRuns: 5_000 },
  );
  assert.equal(matches('*a'.repeat(5_000), 'a'.repeat(4_999)), false);
});
