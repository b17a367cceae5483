import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { policyText } from '../policy/fixtures.ts';
import { directoryOf, terminalsHere } from './cli.ts';

const root = directoryOf({
  'policies/all.yaml': [
    'apiVersion: terminals.openwebui.com/v1alpha1',
    'kind: PolicyDefaults',
    'spec:',
    '  env: {TZ: Europe/Berlin, LONG: "one\\ntwo # three\\n"}',
    '  resources: {limits: {cpu: 8}}',
    '',
  ].join('\n'),
  'policies/base.yaml': policyText('base', 'packages: [graphviz, ffmpeg]', 'priority: 3'),
  'policies/data.yaml': policyText(
    'data',
    'priority: 4',
    'env:',
    '  A: "1"',
    'mounts: [{source: /srv, target: /mnt/srv}]',
  ).replace('spec:', 'extends: base\nspec:'),
});

const show = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  terminalsHere(['policies', ...args], { cwd: root, env });

describe('policies show', () => {
  test('--effective says at the end of each line where its value was written', async () => {
    const env = { TERMINALS_IMAGE: 'mine:1', TERMINALS_MAX_CPU: '4' };
    const { code, out, err } = await show(['show', 'data', '--effective'], env);
    assert.equal(code, 0);
    const lines = out.split('\n').map((line) => line.trim());
    assert.equal(lines[0], '# data: policies/data.yaml:1, extends base');
    for (const line of [
      'priority: 4 # policies/data.yaml:7',
      'image: mine:1 # default (TERMINALS_IMAGE)',
      'cpu: "4" # policies/all.yaml:5, lowered to its bound',
      'memory: 1Gi # default',
      '- graphviz # policies/base.yaml:6',
      '- ffmpeg # policies/base.yaml:6',
      'pipPackages: [] # default',
      'A: "1" # policies/data.yaml:9',
      'TZ: Europe/Berlin # policies/all.yaml:4',
      'LONG: | # policies/all.yaml:4',
      'two # three',
      '- source: /srv # policies/data.yaml:10',
      'readOnly: true # default',
    ]) {
      assert.ok(lines.includes(line), `${line}\n${out}`);
    }
    const bare = lines.filter((line) => line !== '' && !line.includes('#') && !line.endsWith(':'));
    assert.deepEqual(bare, [
      'apiVersion: terminals.openwebui.com/v1alpha1',
      'kind: Policy',
      'name: data',
      'one',
    ]);
    assert.match(err, /8 is above TERMINALS_MAX_CPU, which "base", "data" and "default" inherit/);
  });

  test('is a document that declares the very same policy', async () => {
    const asJson = async (cwd: string, name: string) => {
      const { out } = await terminalsHere(['policies', 'show', name, '--json'], { cwd });
      return JSON.parse(out).spec;
    };
    for (const more of [[], ['--effective']]) {
      const { out } = await show(['show', 'data', ...more]);
      const cwd = directoryOf({ 'policies/data.yaml': out });
      assert.deepEqual(await asJson(cwd, 'data'), await asJson(root, 'data'));
    }
  });

  test('without --effective has no comment but the first line', async () => {
    const { out } = await show(['show', 'base']);
    assert.deepEqual(
      out.split('\n').filter((line) => line.includes(' # policies') || line.includes('# default')),
      [],
    );
  });

  test('--effective --json has the origin of each value by its pointer', async () => {
    const { code, out } = await show(['show', 'data', '--effective', '--json']);
    const { name, extends: parent, declaredAt, spec, origins } = JSON.parse(out);
    assert.deepEqual([code, name, parent], [0, 'data', 'base']);
    assert.deepEqual(declaredAt, { file: 'policies/data.yaml', line: 1, column: 1 });
    assert.equal(spec.env.TZ, 'Europe/Berlin');
    assert.equal(origins['/env/TZ'], 'policies/all.yaml:4');
    assert.equal(origins['/packages/1'], 'policies/base.yaml:6');
    assert.equal(origins['/mounts/0/target'], 'policies/data.yaml:10');
    assert.equal(origins['/mounts/0/readOnly'], 'default');
    assert.equal(origins['/suspend'], 'default');
  });

  test('--effective says of what is known from before that it is the last good version, and of which place', async () => {
    const cwd = directoryOf({ 'policies/a.yaml': policyText('a', 'image: A B') });
    const env = { TERMINALS_IMAGE: 'mine:1', TERMINALS_DATA_DIR: 'data' };
    const saved = {
      from: 'directory policies',
      policies: [{ name: 'a', at: { file: 'policies/a.yaml', line: 3, column: 1 }, spec: { image: 'a:1' } }],
    };
    mkdirSync(path.join(cwd, 'data/.terminals'), { recursive: true });
    writeFileSync(path.join(cwd, 'data/.terminals/policies.json'), JSON.stringify(saved));
    const words = ['policies', 'show', 'a', '--effective'];
    const { out } = await terminalsHere(words, { cwd, env });
    assert.match(out, /^# a: policies\/a\.yaml:3\n/);
    assert.match(out, /image: a:1 # last good version of policies\/a\.yaml:3\n/);
    assert.doesNotMatch(out, /# default/);
    const { origins } = JSON.parse((await terminalsHere([...words, '--json'], { cwd, env })).out);
    assert.equal(origins['/image'], 'last good version of policies/a.yaml:3');
  });

  test('shows the built-in default with what the folder says', async () => {
    const { out } = await show(['show', 'default', '--effective']);
    assert.match(out, /^# default: \(built-in\)\n/);
    assert.match(out, /TZ: Europe\/Berlin # policies\/all\.yaml:4\n/);
    assert.match(out, /suspend: false # default\n/);
  });

  test('of a policy that is not in force is exit code 1, with a guess', async () => {
    const { code, out, err } = await show(['show', 'dta']);
    assert.deepEqual([code, out], [1, '']);
    assert.equal(err, 'terminals: no policy "dta" is in force; did you mean "data"?\n');
  });

  for (const words of [['show'], ['show', 'a', 'b'], ['data'], ['--effective']]) {
    test(`${words.join(' ')} is exit code 2 with what to write`, async () => {
      const { code, err } = await show(words);
      assert.equal(code, 2);
      assert.match(err, /write: terminals policies show NAME/);
    });
  }

  test('the list as JSON says what each policy extends', async () => {
    const { policies } = JSON.parse((await show(['--json'])).out);
    const names = policies.map((one: { id: string; extends?: string }) => [one.id, one.extends ?? null]);
    assert.deepEqual(names, [
      ['base', null],
      ['data', 'base'],
      ['default', null],
    ]);
    assert.ok(policies.every((one: object) => !('origins' in one)));
  });
});
