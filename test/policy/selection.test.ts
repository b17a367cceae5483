import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ForbiddenError, PolicyUnknownError } from '../../src/errors.ts';
import {
  type Asked,
  explainSelection,
  selectPolicy,
  type UnknownGroups,
} from '../../src/policy/selection.ts';
import { policyText, setOf } from './fixtures.ts';

const everybodys = { 'a.yaml': policyText('a') };
const files = {
  ...everybodys,
  'data.yaml': policyText('data', 'groups: [data, "ml-*", id-7]', 'priority: 10'),
  'gpu.yaml': policyText('gpu', 'groups: [gpu]', 'priority: 20'),
  'zeta.yaml': policyText('zeta', 'groups: [data]', 'priority: 10'),
};
const set = setOf(files);
const closed = setOf({ ...files, 'default.yaml': policyText('default', 'groups: [staff]') });

/** Groups by name; `name=id` has an id, too. */
function groupsOf(...groups: readonly string[]): Asked['groups'] {
  return groups.map((group) => {
    const [name = '', id = null] = group.split('=');
    return { name, id };
  });
}

function select(asked: Partial<Asked>, unknownGroups: UnknownGroups = 'deny', policies = set): string {
  return selectPolicy(policies, { named: null, groups: null, ...asked }, unknownGroups).id;
}

describe('a policy named in the path', () => {
  test('is taken where it is for everybody, whoever asks', () => {
    for (const groups of [null, groupsOf(), groupsOf('gpu')])
      assert.equal(select({ named: 'a', groups }), 'a');
  });

  test('is taken by the members of its groups, even where another one has a higher priority', () => {
    assert.equal(select({ named: 'data', groups: groupsOf('gpu', 'data') }), 'data');
  });

  test('is refused to others, in words that name neither group nor policy', () => {
    assert.throws(
      () => select({ named: 'data', groups: groupsOf('staff') }),
      (error) => error instanceof ForbiddenError && error.status === 403 && !/data|staff/.test(error.message),
    );
  });

  for (const name of ['c', '', 'A', 'a ', 'constructor', '__proto__']) {
    test(`that is not there (${JSON.stringify(name)}) is an answer of 404 that names it`, () => {
      assert.throws(
        () => select({ named: name, groups: groupsOf('data') }),
        (error) =>
          error instanceof PolicyUnknownError && error.status === 404 && error.message.includes(`"${name}"`),
      );
    });
  }
});

describe('without a name', () => {
  for (const [groups, policy] of [
    [[], 'default'],
    [['staff'], 'default'],
    [['gpu'], 'gpu'],
    [['ml-vision'], 'data'],
    [['ml'], 'default'],
    [['DATA'], 'default'],
    [['anything=id-7'], 'data'],
    [['data', 'gpu'], 'gpu'],
  ] as const) {
    test(`a member of ${groups.join(' and ') || 'no group'} has ${policy}`, () => {
      assert.equal(select({ groups: groupsOf(...groups) }), policy);
    });
  }

  test('of two policies with one priority the first by name is taken, in whichever order they were declared', () => {
    const reversed = setOf(Object.fromEntries(Object.entries(files).reverse()));
    assert.equal(select({ groups: groupsOf('data') }), 'data');
    assert.equal(select({ groups: groupsOf('data') }, 'deny', reversed), 'data');
  });

  test('a policy that is for everybody is never chosen by its priority: it has to be named', () => {
    const high = setOf({ 'a.yaml': policyText('a', 'priority: 1000') });
    assert.equal(select({ groups: groupsOf('data') }, 'deny', high), 'default');
  });

  test('a default that is for certain groups is refused to others', () => {
    assert.equal(select({ groups: groupsOf('staff') }, 'deny', closed), 'default');
    assert.throws(() => select({ groups: groupsOf('other') }, 'deny', closed), ForbiddenError);
  });
});

describe('somebody whose groups are unknown', () => {
  test('has the default, not a policy of a group', () => assert.equal(select({}), 'default'));

  test('may use a policy of groups only where the configuration allows it', () => {
    assert.equal(select({ named: 'data' }, 'allow'), 'data');
    assert.throws(() => select({ named: 'data' }, 'deny'), ForbiddenError);
    assert.equal(select({}, 'allow', closed), 'default');
    assert.throws(() => select({}, 'deny', closed), ForbiddenError);
  });

  test('is not somebody who is in no group', () => {
    assert.throws(() => select({ named: 'data', groups: groupsOf() }, 'allow'), ForbiddenError);
  });
});

describe('the explanation', () => {
  const cases: readonly Partial<Asked>[] = [
    {},
    { named: 'data' },
    { named: 'nothing' },
    { groups: groupsOf('data', 'gpu') },
    { groups: groupsOf('staff=1') },
    { named: 'data', groups: groupsOf('staff') },
  ];

  test('always says what the selection does', () => {
    for (const unknownGroups of ['allow', 'deny'] as const) {
      for (const asked of cases) {
        const explained = explainSelection(set, { named: null, groups: null, ...asked }, unknownGroups);
        if (explained.kind === 'selected') assert.equal(select(asked, unknownGroups), explained.policy.id);
        else assert.throws(() => select(asked, unknownGroups));
        assert.ok(explained.steps.length > 0);
      }
    }
  });

  test('names the groups and the candidates with their priorities', () => {
    const { steps } = explainSelection(set, { named: null, groups: groupsOf('data', 'gpu=g1') }, 'deny');
    assert.match(
      steps.join(' '),
      /data, gpu \(g1\).*gpu \(priority 20\), data \(priority 10\), zeta \(priority 10\).*gpu\./,
    );
  });
});
