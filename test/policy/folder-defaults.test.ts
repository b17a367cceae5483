import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PolicySet, SourceFile } from '../../src/policy/policy.ts';
import { buildPolicySet } from '../../src/policy/policy-set.ts';
import { policyOf, policyText, problemsOf, rulesWith, setOf } from './fixtures.ts';

/** Defaults of the folder; the spec's fields are from line 4 on. */
function defaultsText(...fields: readonly string[]): string {
  const lines = fields.map((field) => `  ${field}\n`).join('');
  return `apiVersion: terminals.openwebui.com/v1alpha1\nkind: PolicyDefaults\nspec:\n${lines}`;
}

const specs = ({ policies }: PolicySet) => new Map([...policies].map(([id, { spec }]) => [String(id), spec]));
const idles = (set: PolicySet) =>
  Object.fromEntries([...specs(set)].map(([id, { idleTimeoutMinutes }]) => [id, idleTimeoutMinutes]));

const idle = (minutes: number) => defaultsText(`idleTimeoutMinutes: ${minutes}`);
const a = policyText('a', 'priority: 1');
const own = policyText('own', 'idleTimeoutMinutes: 5');
const child = `${policyText('child')}extends: own\n`;
const files = { 'a.yaml': a, 'own.yaml': own, 'sub/child.yaml': child };
const before = setOf({ ...files, 'defaults.yaml': idle(60) });
const beforeIdles = { a: 60, child: 5, default: 60, own: 5 };

describe('defaults of the folder', () => {
  test('hold where neither the policy nor what it extends says something else, the built-in default included', () => {
    assert.deepEqual(problemsOf(before), []);
    assert.deepEqual(idles(before), beforeIdles);
  });

  test('come before those of the configuration', () => {
    const rules = rulesWith({ defaults: { image: 'configured:1', idleTimeoutMinutes: 7 } });
    const { image, idleTimeoutMinutes } = policyOf(
      setOf({ 'a.yaml': a, 'd.yaml': idle(60) }, null, rules),
      'a',
    ).spec;
    assert.deepEqual([image, idleTimeoutMinutes], ['configured:1', 60]);
  });

  test('are merged, map by map', () => {
    const defaults = defaultsText('env: {A: "1", B: "2"}', 'resources: {limits: {cpu: 4}}');
    const set = setOf({
      'd.yaml': defaults,
      'a.yaml': policyText('a', 'env: {B: "3"}', 'resources: {limits: {memory: 2Gi}}'),
    });
    assert.deepEqual(policyOf(set, 'a').spec.env, { A: '1', B: '3' });
    assert.deepEqual(policyOf(set, 'a').spec.resources.limits, { cpu: 4, memory: '2Gi', pids: 2048 });
  });

  test('may stand beside a policy in one file, and have a name', () => {
    const named = idle(60).replace('spec:', 'metadata: {name: for-all}\nspec:');
    assert.equal(idles(setOf({ 'all.yaml': `${a}---\n${named}` })).a, 60);
  });

  test('that say nothing change nothing', () => {
    const empty = 'apiVersion: terminals.openwebui.com/v1alpha1\nkind: PolicyDefaults\n';
    const set = setOf({ ...files, 'd.yaml': empty });
    assert.deepEqual(problemsOf(set), []);
    assert.equal(set.revision, setOf(files).revision);
  });

  test('are no policy', () =>
    assert.deepEqual([...setOf({ 'd.yaml': idle(1) }).policies.keys()], ['default']));

  test('when changed change the policies, and when taken away are gone', () => {
    const changed = setOf({ ...files, 'defaults.yaml': idle(61) }, before);
    assert.deepEqual(idles(changed), { ...beforeIdles, a: 61, default: 61 });
    assert.equal(idles(setOf(files, changed)).a, 30);
  });

  test('above a bound are an error of validate at their place, and lowered when it runs', () => {
    const limit = { 'd.yaml': defaultsText('resources: {limits: {cpu: 8}}'), 'a.yaml': a };
    const checked = setOf(limit, null, rulesWith({ maxCpuMillis: 2000, mode: 'validate' }));
    assert.deepEqual(problemsOf(checked), [
      'd.yaml:4:29: error: spec.resources.limits.cpu: 8 is above TERMINALS_MAX_CPU, which "a" and "default" inherit (write at most 2)',
    ]);
    const run = setOf(limit, null, rulesWith({ maxCpuMillis: 2000 }));
    assert.equal(policyOf(run, 'a').spec.resources.limits.cpu, '2');
    assert.equal(policyOf(run, 'default').spec.resources.limits.cpu, '2');
  });

  test('are in force for the built-in default though its image is none that policies may have', () => {
    const set = setOf({ 'd.yaml': idle(60) }, null, rulesWith({ allowedImages: ['nothing/*'] }));
    assert.deepEqual(problemsOf(set), []);
    assert.equal(idles(set).default, 60);
  });

  test('of which there are two: the first by path is in force, and the other is a problem', () => {
    const set = setOf({ ...files, 'b.yaml': idle(1), 'c.yaml': idle(2) });
    assert.equal(idles(set).a, 1);
    assert.deepEqual(problemsOf(set), [
      'c.yaml:1:1: error: kind: a folder has one PolicyDefaults; the one at b.yaml:1 is in force (merge the two, or delete one)',
    ]);
  });

  test('that were in force stay before others that come first', () => {
    const set = setOf({ ...files, 'b.yaml': idle(1), 'defaults.yaml': idle(60) }, before);
    assert.deepEqual(idles(set), beforeIdles);
    assert.match(problemsOf(set).join(), /^b\.yaml:1:1: error: kind: .* the one at defaults\.yaml:1/);
  });
});

describe('broken defaults', () => {
  const broken = idle(-1);
  for (const [what, text] of [
    ['of a wrong value', broken],
    ['of an unknown field', defaultsText('idleTimeout: 60')],
    ['that are no YAML', `${idle(61)}  }{`],
    ['that are binary', `${idle(61)}\0`],
    ['of another version', idle(61).replace('v1alpha1', 'v2')],
    ['that extend something', `${idle(61)}extends: a\n`],
    ['of a meaning that no policy can have', defaultsText('idleTimeoutMinutes: 61', 'image: A B')],
  ] as const) {
    test(`${what} leave every policy as it was`, () => {
      const set = setOf({ ...files, 'defaults.yaml': text }, before);
      assert.deepEqual(specs(set), specs(before));
      assert.equal(set.revision, before.revision);
      assert.ok(problemsOf(set).some((one) => one.startsWith('defaults.yaml:')));
    });

    test(`${what} from the beginning let no policy be in force without them`, () => {
      const set = setOf({ ...files, 'defaults.yaml': text });
      assert.deepEqual([...set.policies.keys()], []);
      assert.deepEqual([...setOf({ ...files, 'defaults.yaml': text }, set).policies.keys()], []);
      const mended = setOf({ ...files, 'defaults.yaml': idle(60) }, set);
      assert.deepEqual(idles(mended), beforeIdles);
      assert.deepEqual(problemsOf(mended), []);
    });
  }

  test('let policies change, under the last good ones', () => {
    const changed = { ...files, 'a.yaml': policyText('a', 'priority: 2'), 'defaults.yaml': broken };
    const { priority, idleTimeoutMinutes } = policyOf(setOf(changed, before), 'a').spec;
    assert.deepEqual([priority, idleTimeoutMinutes], [2, 60]);
  });

  test('that never were good do not touch policies that are in force without them', () => {
    const set = setOf({ ...files, 'new.yaml': broken }, setOf(files));
    assert.equal(set.revision, setOf(files).revision);
    assert.equal(problemsOf(set).length, 1);
  });

  test('in a file that was renamed and can not be read stay', () => {
    const renamed: SourceFile[] = [
      ...Object.entries(files).map(([path, text]) => ({ path, text })),
      { path: 'renamed.yaml', unreadable: 'permission denied' },
    ];
    const set = buildPolicySet(renamed, before, rulesWith());
    assert.equal(set.revision, before.revision);
    assert.equal(buildPolicySet(renamed, set, rulesWith()).revision, before.revision);
  });

  test('in a file that can not be read leave every policy as it was', () => {
    const unreadable: SourceFile[] = [
      ...Object.entries(files).map(([path, text]) => ({ path, text })),
      { path: 'defaults.yaml', unreadable: 'permission denied' },
    ];
    assert.deepEqual(specs(buildPolicySet(unreadable, before, rulesWith())), specs(before));
  });

  test('out of reach stay known', () => {
    const away = buildPolicySet({ unavailable: 'it is away' }, before, rulesWith());
    assert.deepEqual(idles(setOf({ ...files, 'defaults.yaml': broken }, away)), beforeIdles);
  });

  test('renamed and broken at once stay as they were', () => {
    assert.deepEqual(specs(setOf({ ...files, 'other.yaml': broken }, before)), specs(before));
  });

  test('of a wrong meaning are said once, with those who inherit it', () => {
    const set = setOf({ ...files, 'd.yaml': defaultsText('image: A B') });
    assert.deepEqual(
      problemsOf(set).filter((one) => one.startsWith('d.yaml')),
      [
        'd.yaml:4:10: error: spec.image: "A B" is not an image reference, which "a", "default" and "own" inherit (write registry/name:tag or registry/name@sha256:…)',
      ],
    );
  });
});
