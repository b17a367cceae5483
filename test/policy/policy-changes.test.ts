import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyChanges } from '../../src/policy/policy-changes.ts';
import { buildPolicySet } from '../../src/policy/policy-set.ts';
import { policyText, rulesWith } from './fixtures.ts';

function setOf(...texts: readonly string[]) {
  return buildPolicySet([{ path: 'policies/all.yaml', text: texts.join('---\n') }], null, rulesWith());
}

test('the same policies, declared in another order, change nothing', () => {
  const [a, b] = [policyText('a', 'image: a:1'), policyText('b', 'image: b:1')];
  assert.deepEqual(policyChanges(setOf(a, b), setOf(b, a)), []);
});

test('an edited policy says each field that changes, from what to what, and no other', () => {
  const before = setOf(policyText('a', 'image: a:1', 'packages: [git]', 'idleTimeoutMinutes: 30'));
  const after = setOf(
    policyText(
      'a',
      'image: a:2',
      'packages: [git, jq]',
      'egress: {allowedDomains: []}',
      'idleTimeoutMinutes: 30',
    ),
  );
  assert.deepEqual(policyChanges(before, after), [
    {
      policy: 'a',
      declared: 'policies/all.yaml:1',
      change: 'changed',
      changes: [
        { field: 'egress.allowedDomains', from: 'any', to: '(empty)' },
        { field: 'image', from: 'a:1', to: 'a:2' },
        { field: 'packages', from: 'git', to: 'git jq' },
      ],
    },
  ]);
});

test('a list that is emptied is (empty), and a restriction that is taken away leaves any', () => {
  const before = setOf(policyText('a', 'packages: [git]', 'egress: {allowedDomains: [a.example.org]}'));
  const [change] = policyChanges(before, setOf(policyText('a')));
  assert.deepEqual(change?.changes, [
    { field: 'egress.allowedDomains', from: 'a.example.org', to: 'any' },
    { field: 'packages', from: 'git', to: '(empty)' },
  ]);
});

test('an added policy says what is not as by default; a removed one, where it was', () => {
  const changes = policyChanges(setOf(policyText('old')), setOf(policyText('new', 'image: new:1')));
  assert.deepEqual(changes, [
    {
      policy: 'new',
      declared: 'policies/all.yaml:1',
      change: 'added',
      changes: [{ field: 'image', from: null, to: 'new:1' }],
    },
    { policy: 'old', declared: 'policies/all.yaml:1', change: 'removed', changes: [] },
  ]);
});

test('no value of a variable is ever shown, whatever happens to it', () => {
  const before = setOf(policyText('a', 'env: {KEPT: secret0, EDITED: secret1, GONE: secret2}'));
  const after = setOf(policyText('a', 'env: {KEPT: secret0, EDITED: secret3, NEW: secret4}'));
  const [change] = policyChanges(before, after);
  assert.deepEqual(change?.changes, [
    { field: 'env.EDITED', from: '(set)', to: '(changed)' },
    { field: 'env.GONE', from: '(set)', to: null },
    { field: 'env.NEW', from: null, to: '(set)' },
  ]);
  assert.doesNotMatch(JSON.stringify(policyChanges(setOf(), after)), /secret/);
});

test('where a secret is kept is shown; what a Pod is given is not', () => {
  const before = setOf(policyText('a', 'secretEnv: {KEY: {name: one, key: openai}}'));
  const after = setOf(
    policyText(
      'a',
      'secretEnv: {KEY: {name: two, key: openai}}',
      'podTemplate: {spec: {containers: [{name: helper, env: [{name: A, value: private}]}]}}',
    ),
  );
  assert.deepEqual(policyChanges(before, after)[0]?.changes, [
    { field: 'podTemplate.spec.containers', from: null, to: '(set)' },
    { field: 'secretEnv.KEY.name', from: 'one', to: 'two' },
  ]);
});

test('a password in the URL of a package is not shown', () => {
  const pip = (version: number) => `pipPackages: ["x@git+https://me:hunter2@example.com/x@v${version}"]`;
  const after = setOf(policyText('a', pip(2)));
  assert.deepEqual(after.problems, []);
  const [change] = policyChanges(setOf(policyText('a', pip(1))), after);
  assert.equal(change?.changes[0]?.to, 'x@git+https://(hidden)@example.com/x@v2');
});
