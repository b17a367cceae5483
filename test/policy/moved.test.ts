import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PolicySet, SourceFile } from '../../src/policy/policy.ts';
import { buildPolicySet } from '../../src/policy/policy-set.ts';
import { policyOf, policyText, problemsOf, rulesWith } from './fixtures.ts';

const a = { path: 'a.yaml', text: policyText('a', 'image: a:1') };
const b = { path: 'b.yaml', text: policyText('b', 'image: b:1') };
const own = { path: 'default.yaml', text: policyText('default', 'groups: [staff]', 'image: own:1') };

const build = (files: readonly SourceFile[], previous: PolicySet | null = null) =>
  buildPolicySet(files, previous, rulesWith());
const names = ({ policies }: PolicySet) => [...policies.keys()];

const foreign = [
  [
    'a Kustomization',
    'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n',
  ],
  ['a file of Compose', 'services: {web: {image: "web:1"}}\n'],
  ['values of a chart', 'replicas: 1\n'],
  ['a list', '- repo: local\n'],
  ['an object of Kubernetes of the name of a policy', 'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n'],
  [
    'an object of Kubernetes of the name default',
    'apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default}\n',
  ],
] as const;

describe('beside a file that is for somebody else', () => {
  for (const [what, text] of foreign) {
    const other = { path: 'other.yaml', text };

    test(`(${what}) a policy is gone with its file, also where that is new`, () => {
      assert.deepEqual(names(build([other, b], build([other, a, b]))), ['b', 'default']);
      assert.deepEqual(names(build([other, b], build([a, b]))), ['b', 'default']);
    });

    test(`(${what}) the built-in default is in force from the start, which is no less a mistake there`, () => {
      const set = build([other]);
      assert.equal(policyOf(set, 'default').declaredAt.file, '(built-in)');
      assert.ok(set.problems.every(({ file }) => file === 'other.yaml'));
      assert.ok(set.problems.length > 0);
    });
  }

  test('a document cut short, or one that points elsewhere, may still be a policy', () => {
    const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n';
    assert.deepEqual(names(build([{ ...a, text: pointer }, b], build([a, b]))), ['a', 'b', 'default']);
    assert.deepEqual(names(build([{ ...a, text: 'apiV' }])), []);
  });
});

const unread: readonly (readonly [string, SourceFile])[] = [
  ['empty', { path: 'other.yaml', text: '' }],
  ['no YAML', { path: 'other.yaml', text: 'kind: [' }],
  ['not to be read', { path: 'other.yaml', unreadable: 'it does not exist' }],
  ['without a name', { path: 'other.yaml', text: policyText('x').replace('name: x', 'nmae: x') }],
];

for (const [what, other] of unread) {
  describe(`beside a file that is ${what}`, () => {
    test('since before, a policy is gone with its file', () => {
      const set = build([other, b], build([other, a, b, own]));
      assert.deepEqual(names(set), ['b', 'default']);
      assert.equal(
        policyOf(build([other, b, own], build([other, a, b, own])), 'default').spec.image,
        'own:1',
      );
    });

    test('since before, a default is gone with its file, and the built-in one takes its place', () => {
      let set = build([other, b, own]);
      for (let reading = 0; reading < 3; reading += 1) {
        set = build([other, b], set);
        assert.equal(policyOf(set, 'default').declaredAt.file, '(built-in)');
      }
    });

    test('since just now, it stays as long as that is so, and each is warned of there', () => {
      let set = build([a, b, own]);
      for (let reading = 0; reading < 3; reading += 1) {
        set = build([other, b], set);
        assert.deepEqual(names(set), ['a', 'b', 'default']);
        const warnings = problemsOf(set).filter((one) => one.includes(' stays as it was'));
        assert.deepEqual(warnings, [
          'other.yaml:1:1: warning: the policy "a" stays as it was: a.yaml is gone, and it may be declared here (mend the file, or delete it)',
          'other.yaml:1:1: warning: the policy "default" stays as it was: default.yaml is gone, and it may be declared here (mend the file, or delete it)',
        ]);
      }
      assert.deepEqual(names(build([other], set)), ['a', 'default'], 'one that goes later is gone');
      const mended = { path: 'other.yaml', text: policyText('c') };
      assert.deepEqual(names(build([mended, b], set)), ['b', 'c', 'default']);
      assert.equal(policyOf(build([b], set), 'default').declaredAt.file, '(built-in)');
    });

    test('since just now, and out of reach meanwhile, it stays', () => {
      const set = build([other, b], build([a, b]));
      const away = build([], set);
      assert.deepEqual(names(away), ['default']);
      const back = build([other, b], buildPolicySet({ unavailable: 'it is away' }, set, rulesWith()));
      assert.deepEqual(names(back).slice(0, 2), ['a', 'b']);
    });
  });
}

test('a file that was empty, and has something now, is as good as new', () => {
  const set = build([{ path: 'new.yaml', text: '' }, a, b]);
  assert.deepEqual(names(build([{ path: 'new.yaml', text: 'kind: [' }, b], set)).slice(0, 2), ['a', 'b']);
});

test('a file that was renamed again while it is broken has the same in it', () => {
  const set = build([{ path: 'new.yaml', text: 'kind: [' }, b], build([a, b]));
  const again = build([{ path: 'newer.yaml', text: 'kind: [' }, b], set);
  assert.deepEqual(names(again).slice(0, 2), ['a', 'b']);
});

describe('an empty file', () => {
  const empty = { path: 'default.yaml', text: '' };

  test('that was nothing before leaves the built-in default in force, which says no more than that it is empty', () => {
    const set = build([empty]);
    assert.deepEqual(names(set), ['default']);
    assert.deepEqual(problemsOf(set), [
      'default.yaml:1:1: warning: the file is empty (delete it to remove its policies)',
    ]);
    assert.deepEqual(names(build([empty], build([]))), ['default']);
  });

  test('that declared a default before keeps it', () => {
    assert.equal(policyOf(build([empty], build([own])), 'default').spec.image, 'own:1');
  });

  test('that declared a default with errors before lets no other take its place', () => {
    let set = build([{ ...own, text: policyText('default', 'image: A B') }]);
    for (let reading = 0; reading < 3; reading += 1) {
      set = build([empty], set);
      assert.deepEqual(names(set), []);
      assert.match(String(problemsOf(set)), /no policy "default" is in force, since it may be declared here/);
    }
  });
});
