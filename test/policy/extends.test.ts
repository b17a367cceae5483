import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PolicySet } from '../../src/policy/policy.ts';
import { policyOf, policyText, problemsOf, rulesWith, setOf } from './fixtures.ts';

/** A policy that extends another one; the spec's fields are from line 7 on. */
function extending(name: string, parent: string, ...fields: readonly string[]): string {
  return policyText(name, ...fields).replace('spec:', `extends: ${parent}\nspec:`);
}

const base = policyText(
  'base',
  'image: base:1',
  'packages: [a, b]',
  'env: {A: "1", B: "2"}',
  'resources: {limits: {cpu: 2, memory: 2Gi}}',
);

const images = ({ policies }: PolicySet) =>
  Object.fromEntries(
    [...policies.values()].filter(({ id }) => id !== 'default').map(({ id, spec }) => [id, spec.image]),
  );

describe('a policy that extends another', () => {
  test('has everything of it but what it says itself: maps merged, lists and single values replaced', () => {
    const own = ['packages: [c]', 'env: {B: "3", C: "4"}', 'resources: {limits: {memory: 4Gi}}'];
    const set = setOf({ 'base.yaml': base, 'a.yaml': extending('a', 'base', ...own) });
    const { spec, extends: parent } = policyOf(set, 'a');
    assert.deepEqual(problemsOf(set), []);
    assert.equal(parent, 'base');
    assert.equal(spec.image, 'base:1');
    assert.deepEqual(spec.packages, ['c']);
    assert.deepEqual(spec.env, { A: '1', B: '3', C: '4' });
    assert.deepEqual(spec.resources.limits, { cpu: 2, memory: '4Gi', pids: 2048 });
  });

  test('has its secret variables and its Pod by the same rule, and says what does not fit where it is written', () => {
    const above = policyText(
      'base',
      'secretEnv: {A: {name: one, key: a}, B: {name: one, key: b}}',
      'podTemplate: {metadata: {labels: {team: data}}, spec: {nodeSelector: {pool: a}, tolerations: [{key: a}]}}',
    );
    const own = [
      'secretEnv: {B: {name: two, key: b}, C: {name: two, key: c}}',
      'podTemplate: {spec: {nodeSelector: {gpu: "true"}, tolerations: [{key: b}]}}',
    ];
    const { spec } = policyOf(setOf({ 'base.yaml': above, 'a.yaml': extending('a', 'base', ...own) }), 'a');
    assert.deepEqual(spec.secretEnv, {
      A: { name: 'one', key: 'a' },
      B: { name: 'two', key: 'b' },
      C: { name: 'two', key: 'c' },
    });
    assert.deepEqual(spec.podTemplate, {
      metadata: { labels: { team: 'data' } },
      spec: { nodeSelector: { pool: 'a', gpu: 'true' }, tolerations: [{ key: 'b' }] },
    });

    const twice = setOf({ 'base.yaml': above, 'a.yaml': extending('a', 'base', 'env: {A: x}') });
    assert.deepEqual(problemsOf(twice), [
      'base.yaml:6:15: error: spec.secretEnv.A: A is in env, too, which "a" inherits (keep one of the two)',
    ]);
    assert.deepEqual([...twice.policies.keys()].sort(), ['base', 'default']);
  });

  test('leaves that one as it was', () => {
    const files = { 'base.yaml': base, 'a.yaml': extending('a', 'base', 'env: {A: "9"}') };
    assert.deepEqual(
      policyOf(setOf(files), 'base').spec,
      policyOf(setOf({ 'base.yaml': base }), 'base').spec,
    );
  });

  test('may be extended in its turn, whatever the order of the documents', () => {
    const child = extending('child', 'middle', 'priority: 7');
    const middle = extending('middle', 'base', 'env: {A: "9"}');
    const set = setOf({ 'a.yaml': `${child}---\n${middle}---\n${base}` });
    const { image, env, priority } = policyOf(set, 'child').spec;
    assert.deepEqual({ image, env, priority }, { image: 'base:1', env: { A: '9', B: '2' }, priority: 7 });
  });

  test('has the same revision as one in which all of it is written out', () => {
    const out = base.replace('name: base', 'name: a').replace('base:1', 'own:1');
    const files = { 'base.yaml': base, 'a.yaml': extending('a', 'base', 'image: own:1') };
    assert.equal(setOf(files).revision, setOf({ 'base.yaml': base, 'a.yaml': out }).revision);
  });

  test('keeps the groups of it: what is for some is not for all by being extended', () => {
    const team = policyText('team', 'groups: [data]');
    const set = setOf({ 'team.yaml': team, 'a.yaml': extending('a', 'team', 'priority: 1') });
    assert.deepEqual(policyOf(set, 'a').spec.groups, ['data']);
  });

  test('has defaults of the configuration only where that one says nothing', () => {
    const files = { 'base.yaml': base, 'a.yaml': extending('a', 'base') };
    const set = setOf(files, null, rulesWith({ defaults: { image: 'configured:1', idleTimeoutMinutes: 7 } }));
    const { image, idleTimeoutMinutes } = policyOf(set, 'a').spec;
    assert.deepEqual([image, idleTimeoutMinutes], ['base:1', 7]);
  });

  test('may have a name that every object has among its fields', () => {
    const env = 'env: {__proto__: "1", constructor: "2", toString: "3"}';
    const set = setOf({
      'p.yaml': policyText('p', env),
      'a.yaml': extending('a', 'p', 'env: {toString: "4"}'),
    });
    assert.deepEqual(Object.entries(policyOf(set, 'a').spec.env).sort(), [
      ['__proto__', '1'],
      ['constructor', '2'],
      ['toString', '4'],
    ]);
  });
});

describe('a problem of what was merged', () => {
  test('stands where the value was written, and names who inherits it', () => {
    const set = setOf({
      'base.yaml': policyText('base', 'resources: {requests: {memory: 512Mi}}'),
      'a.yaml': extending('a', 'base', 'resources: {limits: {memory: 256Mi}}'),
    });
    assert.deepEqual(problemsOf(set), [
      'base.yaml:6:34: error: spec.resources.requests.memory: the request 512Mi is above the limit 256Mi, which "a" inherits (lower the request, or raise the limit)',
    ]);
    assert.deepEqual(images(set), { base: policyOf(set, 'base').spec.image });
  });

  test('stands in the document itself where that wrote the value', () => {
    const set = setOf({ 'base.yaml': base, 'a.yaml': extending('a', 'base', 'env: {A: 1}') });
    assert.deepEqual(problemsOf(set), [
      'a.yaml:7:12: error: spec.env.A: this is a number, not a text (put it in quotes, as it is written)',
    ]);
  });

  test('is said once, however many have it', () => {
    const children = ['a', 'b', 'c', 'd', 'e'].map((name) => extending(name, 'base')).join('---\n');
    const set = setOf({ 'a.yaml': children, 'base.yaml': policyText('base', 'packages: [x, x]') });
    assert.deepEqual(problemsOf(set), [
      'base.yaml:6:17: warning: spec.packages[1]: "x" is listed twice (keep one of the two)',
    ]);
  });

  test('what is missing in a part may come from what is extended', () => {
    const egress = policyText('base', 'egress: {allowedDomains: [a.org]}');
    const set = setOf({ 'base.yaml': egress, 'a.yaml': extending('a', 'base', 'egress: {}') });
    assert.deepEqual(policyOf(set, 'a').spec.egress, { allowedDomains: ['a.org'] });
  });

  test('an empty field takes nothing away from what is extended, but is refused', () => {
    const set = setOf({ 'base.yaml': base, 'a.yaml': extending('a', 'base', 'resources:') });
    assert.match(problemsOf(set).join(), /^a\.yaml:7:\d+: error: spec\.resources: this is empty, not a map/);
  });
});

describe('what can not be extended is a problem at its name:', () => {
  for (const [what, files, problems] of [
    [
      'a policy that is not there',
      { 'a.yaml': extending('a', 'bsae'), 'base.yaml': base },
      ['a.yaml:5:10: error: extends: there is no policy "bsae" to extend (did you mean "base"?)'],
    ],
    [
      'the built-in default',
      { 'a.yaml': extending('a', 'default') },
      ['a.yaml:5:10: error: extends: there is no policy "default" to extend (name a policy of this folder)'],
    ],
    [
      'itself',
      { 'a.yaml': extending('a', 'a') },
      ['a.yaml:5:10: error: extends: it extends itself: a → a (take one of them out)'],
    ],
    [
      'a circle, in which each says its own, and one beside it',
      {
        'a.yaml': extending('a', 'b'),
        'b.yaml': extending('b', 'c'),
        'c.yaml': extending('c', 'a'),
        'd.yaml': extending('d', 'a'),
      },
      [
        'a.yaml:5:10: error: extends: it extends itself: a → b → c → a (take one of them out)',
        'b.yaml:5:10: error: extends: it extends itself: b → c → a → b (take one of them out)',
        'c.yaml:5:10: error: extends: it extends itself: c → a → b → c (take one of them out)',
        'd.yaml:5:10: error: extends: the policy "a", which it extends, has errors (mend that one)',
      ],
    ],
    [
      'a broken policy',
      { 'a.yaml': extending('a', 'base'), 'base.yaml': policyText('base', 'image: A B') },
      [
        'a.yaml:5:10: error: extends: the policy "base", which it extends, has errors (mend that one)',
        'base.yaml:6:10: error: spec.image: "A B" is not an image reference (write registry/name:tag or registry/name@sha256:…)',
      ],
    ],
  ] as const) {
    test(what, () => {
      const set = setOf(files);
      assert.deepEqual(problemsOf(set), problems);
      assert.ok(!set.policies.has(policyOf(setOf({ 'x.yaml': policyText('a') }), 'a').id));
    });
  }

  test('more than eight policies above it', () => {
    const chain = (length: number) =>
      Object.fromEntries(
        Array.from({ length }, (_, index) => [
          `${index}.yaml`,
          index === 0 ? policyText('p0', 'image: root:1') : extending(`p${index}`, `p${index - 1}`),
        ]),
      );
    assert.equal(policyOf(setOf(chain(9)), 'p8').spec.image, 'root:1');
    assert.deepEqual(problemsOf(setOf(chain(10))), [
      '9.yaml:5:10: error: extends: more than 8 policies are above it (extend one that is further up)',
    ]);
  });

  test('a chain of thousands ends soon', () => {
    const documents = Array.from({ length: 5_000 }, (_, index) => extending(`p${index}`, `p${index + 1}`));
    const start = performance.now();
    const set = setOf({ 'a.yaml': documents.join('---\n') });
    assert.ok(performance.now() - start < 10_000);
    assert.equal(set.policies.size, 1);
  });

  test('a large policy that hundreds extend', () => {
    const env = Array.from({ length: 10_000 }, (_, index) => `A${index}: x`).join(', ');
    const children = Array.from({ length: 100 }, (_, index) => extending(`p${index}`, 'large'));
    const set = setOf({
      'a.yaml': children.join('---\n'),
      'large.yaml': policyText('large', `env: {${env}}`),
    });
    assert.match(String(problemsOf(set).at(-1)), /extends: too much is inherited in this folder/);
    assert.ok(set.policies.size > 20 && set.policies.size < 40, String(set.policies.size));
  });
});

describe('the last good version of a policy stays in force', () => {
  const child = extending('a', 'base', 'priority: 1');
  const before = setOf({ 'a.yaml': child, 'base.yaml': base });

  for (const [what, files] of [
    ['is broken', { 'base.yaml': policyText('base', 'image: A B') }],
    ['is no YAML', { 'base.yaml': `${base}  }{` }],
    ['is gone', {}],
    ['is in a circle', { 'base.yaml': extending('base', 'a') }],
    ['has become the wrong kind', { 'base.yaml': base.replace('kind: Policy', 'kind: Pod') }],
  ] as const) {
    test(`while what it extends ${what}`, () => {
      const set = setOf({ 'a.yaml': child, ...files }, before);
      assert.deepEqual(policyOf(set, 'a').spec, policyOf(before, 'a').spec);
      assert.ok(problemsOf(set).length > 0);
    });

    test(`while what it extends ${what}, though it was edited itself`, () => {
      const set = setOf({ 'a.yaml': extending('a', 'base', 'priority: 2'), ...files }, before);
      assert.equal(policyOf(set, 'a').spec.priority, 1);
    });
  }

  test('until what it extends is good again, whose change reaches it', () => {
    const broken = setOf({ 'a.yaml': child, 'base.yaml': policyText('base', 'image: A B') }, before);
    const set = setOf({ 'a.yaml': child, 'base.yaml': base.replace('base:1', 'base:2') }, broken);
    assert.deepEqual(images(set), { a: 'base:2', base: 'base:2' });
    assert.deepEqual(problemsOf(set), []);
  });

  test('and others change meanwhile', () => {
    const files = { 'a.yaml': child, 'base.yaml': policyText('base', 'image: A B') };
    const set = setOf({ ...files, 'b.yaml': policyText('b', 'image: b:1') }, before);
    assert.deepEqual(images(set), { a: 'base:1', b: 'b:1', base: 'base:1' });
  });
});

test('of two policies of one name the one in force is extended', () => {
  const first = policyText('base', 'image: first:1');
  const files = { 'a.yaml': first, 'base.yaml': base, 'c.yaml': extending('c', 'base') };
  assert.equal(policyOf(setOf(files), 'c').spec.image, 'first:1');
  assert.equal(policyOf(setOf(files, setOf({ 'base.yaml': base })), 'c').spec.image, 'base:1');
});
