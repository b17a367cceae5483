import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { builtinPolicy } from '../../src/policy/builtin.ts';
import type { PolicySet } from '../../src/policy/policy.ts';
import { buildPolicySet } from '../../src/policy/policy-set.ts';
import { policyOf, policyText, problemsOf, rulesWith, setOf } from './fixtures.ts';

const names = ({ policies }: ReturnType<typeof setOf>) => [...policies.keys()];

describe('a policy set', () => {
  test('has the policies of all files, sorted by name, each with its place', () => {
    const set = setOf({
      'z.yaml': policyText('b'),
      'a.yaml': `# two\n${policyText('c')}---\n${policyText('a')}`,
    });
    assert.deepEqual(names(set), ['a', 'b', 'c', 'default']);
    assert.deepEqual(policyOf(set, 'c').declaredAt, { file: 'a.yaml', line: 2, column: 1 });
    assert.deepEqual(policyOf(set, 'a').declaredAt, { file: 'a.yaml', line: 8, column: 1 });
    assert.deepEqual(problemsOf(set), []);
  });

  test('is the same whatever the order of the files', () => {
    const a = setOf({ 'a.yaml': policyText('x', 'image: a'), 'b.yaml': policyText('x', 'image: b') });
    const b = setOf({ 'b.yaml': policyText('x', 'image: b'), 'a.yaml': policyText('x', 'image: a') });
    assert.deepEqual(a, b);
  });

  test('has defaults of the configuration in policies that say nothing else', () => {
    const rules = rulesWith({ defaults: { image: 'configured:1' } });
    const set = setOf({ 'a.yaml': policyText('a'), 'b.yaml': policyText('b', 'image: own:1') }, null, rules);
    assert.deepEqual(
      [policyOf(set, 'a').spec.image, policyOf(set, 'b').spec.image],
      ['configured:1', 'own:1'],
    );
  });

  test('has limits that are above the bound lowered, with a warning', () => {
    const set = setOf(
      { 'a.yaml': policyText('a', 'resources: {limits: {cpu: 8}}') },
      null,
      rulesWith({ maxCpuMillis: 2000 }),
    );
    assert.equal(policyOf(set, 'a').spec.resources.limits.cpu, '2');
    assert.deepEqual(problemsOf(set), [
      'a.yaml:6:29: warning: spec.resources.limits.cpu: 8 is above TERMINALS_MAX_CPU (2 is used instead)',
    ]);
  });
});

describe('the built-in default', () => {
  const rules = rulesWith({ builtin: builtinPolicy({ image: 'configured:1', idleTimeoutMinutes: 7 }) });

  test('is in force without any file, with what the configuration says', () => {
    const { id, spec, declaredAt } = policyOf(setOf({}, null, rules), 'default');
    assert.deepEqual([id, spec.image, spec.idleTimeoutMinutes], ['default', 'configured:1', 7]);
    assert.equal(declaredAt.file, '(built-in)');
  });

  test('has its limits lowered to the bounds, as every policy has, with a warning', () => {
    const bounded = rulesWith({ maxCpuMillis: 500, maxMemoryBytes: 512 * 1024 * 1024 });
    const set = setOf({}, null, bounded);
    const { requests, limits } = policyOf(set, 'default').spec.resources;
    assert.deepEqual([limits.cpu, limits.memory, requests.memory], ['500m', '512Mi', '256Mi']);
    assert.deepEqual(problemsOf(set), [
      '(built-in):1:1: warning: spec.resources.limits.cpu: 1 is above TERMINALS_MAX_CPU (500m is used instead)',
      '(built-in):1:1: warning: spec.resources.limits.memory: 1Gi is above TERMINALS_MAX_MEMORY (512Mi is used instead)',
    ]);
    assert.deepEqual([...(setOf({}, set, bounded).lastGood ?? [])], []);
  });

  test('is nothing that can be written otherwise before it is merged, with the defaults of the folder or without', () => {
    const bounded = rulesWith({ maxCpuMillis: 500, mode: 'validate' });
    const defaults = policyText('x', 'packages: [jq]')
      .replace('kind: Policy', 'kind: PolicyDefaults')
      .replace('metadata:\n  name: x\n', '');
    assert.deepEqual(
      problemsOf(setOf({ 'b.yaml': policyText('b', 'resources: {limits: {cpu: 500m}}') }, null, bounded)),
      [],
    );
    const set = setOf({ 'd.yaml': defaults }, null, bounded);
    assert.deepEqual(problemsOf(set), []);
    assert.deepEqual(policyOf(set, 'default').spec.packages, ['jq']);
  });

  test('is replaced by a policy of that name, which is no duplicate', () => {
    const set = setOf({ 'a.yaml': policyText('default', 'image: own:1') }, setOf({}, null, rules), rules);
    assert.equal(policyOf(set, 'default').spec.image, 'own:1');
    assert.deepEqual(problemsOf(set), []);
  });

  test('is back when that policy is taken away', () => {
    const before = setOf({ 'a.yaml': policyText('default', 'image: own:1') }, null, rules);
    assert.equal(policyOf(setOf({}, before, rules), 'default').spec.image, 'configured:1');
  });

  test('stays where it was in force while a policy of that name is broken from its beginning, which is said', () => {
    let set = setOf({}, null, rules);
    for (let reading = 0; reading < 2; reading += 1) {
      set = setOf({ 'a.yaml': policyText('default', 'image: A B') }, set, rules);
      assert.equal(policyOf(set, 'default').declaredAt.file, '(built-in)');
      assert.deepEqual(problemsOf(set).length, 2);
      assert.equal(
        problemsOf(set)[0],
        'a.yaml:1:1: error: the built-in policy "default" stays in force, since the one here has errors (mend it: everybody has the built-in one, until a restart ends it)',
      );
    }
  });

  test('stays where it was in force while another may be in what can not be read, which is said', () => {
    const set = setOf({ 'a.yaml': 'kind: [' }, setOf({}, null, rules), rules);
    assert.equal(policyOf(set, 'default').declaredAt.file, '(built-in)');
    assert.match(
      String(problemsOf(set)),
      /a\.yaml:1:1: warning: the built-in policy "default" stays in force, though another may be declared here/,
    );
  });
});

describe('where nothing is known of before, the built-in default does not take the place of', () => {
  const broken = policyText('default', 'image: A B');
  const instead = (files: Parameters<typeof buildPolicySet>[0], previous: PolicySet | null = null) =>
    buildPolicySet(files, previous, rulesWith());

  test('one that is declared with errors, which is said where it stands', () => {
    const set = instead([{ path: 'a.yaml', text: `# ours\n${broken}` }]);
    assert.deepEqual(names(set), []);
    assert.match(
      String(problemsOf(set)),
      /a\.yaml:2:1: error: no policy "default" is in force, since the one here has errors \(mend it: the built-in one does not take its place\)/,
    );
  });

  for (const [what, file] of [
    ['a file that is no YAML', { path: 'a.yaml', text: 'kind: [' }],
    ['a file that can not be read', { path: 'a.yaml', unreadable: 'permission denied' }],
    ['a document without a name', { path: 'a.yaml', text: policyText('x').replace('name: x', 'nmae: x') }],
  ] as const) {
    test(`one that may be in ${what}`, () => {
      const set = instead([file, { path: 'b.yaml', text: policyText('b') }]);
      assert.deepEqual(names(set), ['b']);
      assert.match(
        String(problemsOf(set)),
        /a\.yaml:1:1: error: no policy "default" is in force, since it may be declared here \(mend the file/,
      );
    });
  }

  test('anything, as long as the defaults of the folder are broken', () => {
    const defaults = policyText('x', 'imgae: x').replace('kind: Policy', 'kind: PolicyDefaults');
    const set = instead([{ path: 'a.yaml', text: defaults }]);
    assert.deepEqual(names(set), []);
    assert.match(String(problemsOf(set)), /no policy of the folder can be in force/);
  });

  test('what it would be with the defaults of the folder, which it can not be', () => {
    const header = 'apiVersion: terminals.openwebui.com/v1alpha1\nkind: PolicyDefaults\n';
    const set = instead([
      { path: 'a.yaml', text: `${header}spec: {warm: 1, persistence: {enabled: true}}\n` },
    ]);
    assert.deepEqual(names(set), []);
    assert.match(String(problemsOf(set)), /spec\.warm: .*, which "default" inherits/);
  });

  test('anything until that is mended', () => {
    const first = instead([{ path: 'a.yaml', text: broken }]);
    const again = instead([{ path: 'a.yaml', text: broken }], first);
    assert.deepEqual(names(again), []);
    assert.deepEqual(problemsOf(again), problemsOf(first));
    assert.deepEqual(names(instead([], again)), ['default']);
    const mended = instead([{ path: 'a.yaml', text: policyText('default', 'image: own:1') }], again);
    assert.equal(policyOf(mended, 'default').spec.image, 'own:1');
  });

  test('one that is broken where it was moved to', () => {
    const before = instead([
      { path: 'a.yaml', text: policyText('default', 'image: own:1') },
      { path: 'b.yaml', text: policyText('b') },
    ]);
    const set = instead(
      [
        { path: 'a.yaml', text: policyText('a') },
        { path: 'b.yaml', text: `${policyText('b')}---\nkind: [\n` },
      ],
      before,
    );
    assert.equal(policyOf(set, 'default').spec.image, 'own:1');
  });
});

describe('the revision', () => {
  const revision = (files: Record<string, string>) => setOf(files).revision;
  const text = policyText('a', 'image: a:1', 'env: {A: x, B: y}');

  test('changes with what a policy says, with a policy added, and with one taken away', () => {
    const revisions = [
      revision({}),
      revision({ 'a.yaml': text }),
      revision({ 'a.yaml': policyText('a', 'image: a:2') }),
      revision({ 'a.yaml': text, 'b.yaml': policyText('b') }),
      revision({ 'a.yaml': text.replace('name: a', 'name: c') }),
    ];
    assert.equal(new Set(revisions).size, revisions.length);
  });

  test('does not change with places, comments, order of fields or defaults written out', () => {
    const same = `# moved\n\n${policyText('a', 'suspend: false', 'env: {B: y, A: x}', 'image: "a:1"')}`;
    assert.equal(revision({ 'sub/other.yml': same }), revision({ 'a.yaml': text }));
  });

  test('does not change with a broken policy beside the good ones', () => {
    const broken = policyText('b', 'image: A B');
    assert.equal(revision({ 'a.yaml': text, 'b.yaml': broken }), revision({ 'a.yaml': text }));
  });
});

describe('two policies of one name', () => {
  const first = policyText('x', 'image: first:1');
  const second = policyText('x', 'image: second:1');

  test('in two files: the first path is in force, and the problem says where both are', () => {
    const set = setOf({ 'b.yaml': second, 'a.yaml': first });
    assert.equal(policyOf(set, 'x').spec.image, 'first:1');
    assert.deepEqual(problemsOf(set), [
      'b.yaml:1:1: error: metadata.name: the policy "x" is declared twice; the one at a.yaml:1 is in force (rename one of the two, or delete it)',
    ]);
  });

  test('in one file: the first is in force', () => {
    const set = setOf({ 'a.yaml': `${first}---\n${second}` });
    assert.equal(policyOf(set, 'x').spec.image, 'first:1');
    assert.match(String(problemsOf(set)), /^a\.yaml:8:1: error: .* the one at a\.yaml:1 is in force/);
  });

  test('the one that was in force stays, even where the other comes first', () => {
    const before = setOf({ 'b.yaml': second });
    const set = setOf({ 'a.yaml': first, 'b.yaml': second }, before);
    assert.equal(policyOf(set, 'x').spec.image, 'second:1');
    assert.match(String(problemsOf(set)), /^a\.yaml:1:1: .* the one at b\.yaml:1 is in force/);
    assert.equal(policyOf(setOf({ 'a.yaml': first, 'b.yaml': second }, set), 'x').spec.image, 'second:1');
  });

  test('of which the one in force is taken away: the other follows', () => {
    const before = setOf({ 'a.yaml': first, 'b.yaml': second });
    const set = setOf({ 'b.yaml': second }, before);
    assert.equal(policyOf(set, 'x').spec.image, 'second:1');
    assert.deepEqual(problemsOf(set), []);
  });

  test('of which the one in force is broken: its last good version stays before the other', () => {
    const before = setOf({ 'b.yaml': second });
    const set = setOf({ 'a.yaml': first, 'b.yaml': policyText('x', 'image: A B') }, before);
    assert.equal(policyOf(set, 'x').spec.image, 'second:1');
    assert.equal(problemsOf(set).length, 2);
  });
});

test('thousands of problems in one document are said in part, errors first', () => {
  const env = Array.from({ length: 150 }, (_, index) => `K${index}: ${index}`).join(', ');
  const problems = problemsOf(setOf({ 'a.yaml': policyText('a', `env: {${env}}`) }));
  assert.equal(problems.length, 101);
  assert.ok(
    problems.includes(
      'a.yaml:1:1: error: there are 50 problems more in this document (mend those that are said first)',
    ),
  );

  const packages = Array.from({ length: 200 }, () => 'p').join(', ');
  const mixed = problemsOf(
    setOf({ 'a.yaml': policyText('a', `packages: [${packages}]`, 'env: {OPEN_TERMINAL_API_KEY: x}') }),
  );
  assert.equal(mixed.filter((one) => one.includes(': error: ')).length, 1);
});

test('a file that can not be read is a problem in its first line', () => {
  const rules = rulesWith({ mode: 'validate' });
  const set = buildPolicySet([{ path: 'a.yaml', unreadable: 'permission denied' }], null, rules);
  assert.deepEqual(problemsOf(set), [
    'a.yaml:1:1: error: permission denied (make it readable, or move it out of the directory)',
  ]);
});
