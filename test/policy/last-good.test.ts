import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PolicySet, SourceFile } from '../../src/policy/policy.ts';
import { buildPolicySet } from '../../src/policy/policy-set.ts';
import { policyOf, policyText, problemsOf, rulesWith, setOf } from './fixtures.ts';

const good = policyText('a', 'image: good:1');
const broken = policyText('a', 'image: A B');
const other = policyText('b', 'image: other:1');
const before = setOf({ 'a.yaml': good, 'b.yaml': other });

const images = ({ policies }: PolicySet) =>
  Object.fromEntries(
    [...policies.values()].filter(({ id }) => id !== 'default').map(({ id, spec }) => [id, spec.image]),
  );

const build = (files: readonly SourceFile[], previous: PolicySet) =>
  buildPolicySet(files, previous, rulesWith());

describe('the last good version of a policy stays in force', () => {
  for (const [what, text] of [
    ['its meaning is wrong', broken],
    ['its structure is wrong', policyText('a', 'imgae: x')],
    ['its kind is wrong', good.replace('kind: Policy', 'kind: Pod')],
    ['its version is wrong', good.replace('v1alpha1', 'v9')],
    ['its name is gone', good.replace('name: a', 'nmae: a')],
    ['its file is no YAML', `${good}  }{`],
    ['its file is binary', `${good}\0`],
    ['its file is far too large', `${good}#${'x'.repeat(2_000_000)}`],
    ['its file has a tag that nobody knows', good.replace('good:1', '!env IMAGE')],
  ] as const) {
    test(`while ${what}`, () => {
      const set = setOf({ 'a.yaml': text, 'b.yaml': other }, before);
      assert.deepEqual(images(set), { a: 'good:1', b: 'other:1' });
      assert.equal(set.revision, before.revision);
      assert.ok(set.problems.some(({ severity, file }) => severity === 'error' && file === 'a.yaml'));
    });
  }

  // Who writes `sops --decrypt > a.yaml` empties it first, and a full disk leaves it so.
  test('while its file is empty, which is warned of', () => {
    const set = setOf({ 'a.yaml': '', 'b.yaml': other }, before);
    assert.deepEqual(images(set), { a: 'good:1', b: 'other:1' });
    assert.deepEqual(problemsOf(set), [
      'a.yaml:1:1: warning: the file is empty (delete it to remove its policies)',
    ]);
  });

  test('while its file can not be read', () => {
    const files = [
      { path: 'a.yaml', unreadable: 'permission denied' },
      { path: 'b.yaml', text: other },
    ];
    assert.deepEqual(images(build(files, before)), { a: 'good:1', b: 'other:1' });
  });

  test('however many readings long', () => {
    let set = before;
    for (let reading = 0; reading < 3; reading += 1) set = setOf({ 'a.yaml': broken, 'b.yaml': other }, set);
    assert.equal(policyOf(set, 'a').spec.image, 'good:1');
    assert.equal(problemsOf(set).length, 1);
  });

  test('until it is good again', () => {
    const set = setOf({ 'a.yaml': broken }, before);
    assert.deepEqual(images(setOf({ 'a.yaml': good.replace('good:1', 'better:1') }, set)), { a: 'better:1' });
  });

  test('alone: the other documents of its file change', () => {
    const first = setOf({ 'all.yaml': `${good}---\n${other}` });
    const changed = other.replace('other:1', 'other:2');
    assert.deepEqual(images(setOf({ 'all.yaml': `${broken}---\n${changed}` }, first)), {
      a: 'good:1',
      b: 'other:2',
    });
  });

  test('where one document of its file is no YAML and could be any of them', () => {
    const first = setOf({ 'all.yaml': `${good}---\n${other}` });
    const changed = other.replace('other:1', 'other:2');
    assert.deepEqual(images(setOf({ 'all.yaml': `image: [\n---\n${changed}` }, first)), {
      a: 'good:1',
      b: 'other:2',
    });
  });

  test('where its file was renamed and broken at once', () => {
    const set = setOf({ 'renamed.yaml': broken, 'b.yaml': other }, before);
    assert.deepEqual(images(set), { a: 'good:1', b: 'other:1' });
    assert.equal(problemsOf(set).length, 1);
    assert.deepEqual(images(setOf({ 'renamed.yaml': broken, 'b.yaml': other }, set)), images(set));
  });

  for (const [what, file] of [
    ['no YAML', { path: 'renamed.yaml', text: `${good}  }{` }],
    ['empty', { path: 'renamed.yaml', text: '' }],
    ['without its name', { path: 'renamed.yaml', text: good.replace('name: a', 'nmae: a') }],
    ['not to be read', { path: 'renamed.yaml', unreadable: 'permission denied' }],
  ] as const) {
    test(`where its file was renamed and is ${what}, however many readings long`, () => {
      const files = [file, { path: 'b.yaml', text: other }];
      const set = build(files, before);
      assert.deepEqual(images(set), { a: 'good:1', b: 'other:1' });
      assert.deepEqual([...(set.lastGood ?? [])], ['a']);
      assert.deepEqual(images(build(files, set)), images(set));
      const mended = setOf({ 'renamed.yaml': policyText('c', 'image: c:1'), 'b.yaml': other }, set);
      assert.deepEqual(images(mended), { b: 'other:1', c: 'c:1' });
    });
  }

  test('where two broken files declare it', () => {
    const set = setOf({ 'c.yaml': broken, 'd.yaml': broken, 'b.yaml': other }, before);
    assert.deepEqual(images(set), { a: 'good:1', b: 'other:1' });
    assert.equal(problemsOf(set).length, 2);
  });
});

describe('a policy is gone', () => {
  test('when its file is', () => {
    const set = setOf({ 'b.yaml': other }, before);
    assert.deepEqual(images(set), { b: 'other:1' });
    assert.deepEqual(problemsOf(set), []);
  });

  test('when all of its file is made a comment, which nobody does by chance', () => {
    const set = setOf({ 'a.yaml': good.replaceAll(/^/gm, '# '), 'b.yaml': other }, before);
    assert.deepEqual(images(set), { b: 'other:1' });
    assert.deepEqual(problemsOf(set), []);
  });

  test('when its file is, and another that is broken had policies of its own', () => {
    const set = setOf({ 'b.yaml': `${other}  }{` }, before);
    assert.deepEqual(images(set), { b: 'other:1' });
  });

  test('when its document is taken out of its file', () => {
    const first = setOf({ 'all.yaml': `${good}---\n${other}` });
    assert.deepEqual(images(setOf({ 'all.yaml': other }, first)), { b: 'other:1' });
  });

  test('when its document is, even where another one of the file has a wrong field', () => {
    const first = setOf({ 'all.yaml': `${good}---\n${other}` });
    assert.deepEqual(images(setOf({ 'all.yaml': policyText('b', 'imgae: x') }, first)), { b: 'other:1' });
  });

  test('when it has another name', () => {
    const set = setOf({ 'a.yaml': good.replace('name: a', 'name: c'), 'b.yaml': other }, before);
    assert.deepEqual(images(set), { b: 'other:1', c: 'good:1' });
  });

  test('but not when its file was only renamed', () => {
    const set = setOf({ 'renamed.yml': good, 'b.yaml': other }, before);
    assert.equal(set.revision, before.revision);
    assert.equal(policyOf(set, 'a').declaredAt.file, 'renamed.yml');
  });

  test('one that was never good is not in force', () => {
    const set = setOf({ 'a.yaml': broken, 'b.yaml': other }, setOf({ 'b.yaml': other }));
    assert.deepEqual(images(set), { b: 'other:1' });
  });
});

describe('a source out of reach', () => {
  const unavailable = { unavailable: "the directory policies can't be read" };

  test('deletes nothing, and says so', () => {
    const set = buildPolicySet(unavailable, before, rulesWith());
    assert.deepEqual(set.policies, before.policies);
    assert.equal(set.revision, before.revision);
    assert.deepEqual(problemsOf(set), [
      "(policies):1:1: error: the directory policies can't be read (the policies in force stay as they are)",
    ]);
  });

  test('at the start leaves no policy at all, not even the built-in one, as long as it lasts', () => {
    const set = buildPolicySet(unavailable, null, rulesWith());
    const words = [
      "(policies):1:1: error: the directory policies can't be read (no policy is in force until it can be read)",
    ];
    assert.deepEqual([[...set.policies.keys()], problemsOf(set)], [[], words]);
    const again = buildPolicySet(unavailable, set, rulesWith());
    assert.deepEqual([[...again.policies.keys()], problemsOf(again)], [[], words]);
    assert.deepEqual([...setOf({}, again).policies.keys()], ['default']);
  });

  test('of which there is nothing yet at the start leaves the built-in default', () => {
    const set = buildPolicySet({ ...unavailable, absent: true }, null, rulesWith());
    assert.deepEqual([...set.policies.keys()], ['default']);
    assert.match(String(problemsOf(set)), /only the built-in default policy is in force/);
  });

  test('of which there is nothing any more deletes nothing', () => {
    const set = buildPolicySet({ ...unavailable, absent: true }, before, rulesWith());
    assert.deepEqual(set.policies, before.policies);
  });

  test('is forgotten when it is back', () => {
    const set = setOf({ 'b.yaml': other }, buildPolicySet(unavailable, before, rulesWith()));
    assert.deepEqual(images(set), { b: 'other:1' });
    assert.deepEqual(problemsOf(set), []);
  });
});
