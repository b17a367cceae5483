import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { variables } from '../src/config.ts';
import { directoryOf, terminalsHere } from './command/cli.ts';
import { policyText, problemsOf, setOf } from './policy/fixtures.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (file: string) => parse(readFileSync(path.join(root, file), 'utf8'));

interface Step {
  readonly name?: string;
  readonly run?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const action: {
  readonly inputs: Readonly<Record<string, { readonly default: string; readonly description: string }>>;
  readonly runs: { readonly steps: readonly Step[] };
} = read('action.yml');
const step = action.runs.steps.find(({ name }) => name === 'Validate') ?? assert.fail();

/** The last step of the action with these inputs, as a runner would run it. */
function run(inputs: Readonly<Record<string, string>>, files: Readonly<Record<string, string>>) {
  const temporary = directoryOf({});
  mkdirSync(path.join(temporary, 'runner'));
  symlinkSync(root, path.join(temporary, 'runner', 'terminals'));
  const value = (text: string) =>
    text.replace(
      /\$\{\{ inputs\.([\w-]+) \}\}/g,
      (_, name: string) => inputs[name] ?? action.inputs[name]?.default ?? '',
    );
  const env = Object.fromEntries(Object.entries(step.env ?? {}).map(([name, text]) => [name, value(text)]));
  return spawnSync('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', step.run ?? ''], {
    cwd: directoryOf(files),
    env: { PATH: process.env.PATH, RUNNER_TEMP: path.join(temporary, 'runner'), ...env },
    encoding: 'utf8',
    timeout: 60_000,
  });
}

describe('the GitHub Action', () => {
  test('annotates every problem, and fails', () => {
    const { status, stdout } = run({}, { 'policies/a.yaml': policyText('a', 'imgae: x') });
    assert.equal(status, 1);
    assert.match(
      stdout,
      /^::error file=policies\/a\.yaml,line=6,col=3::spec\.imgae: the field "imgae" is not known/,
    );
  });

  test('takes several paths, whatever characters they have, and bounds', () => {
    const files = {
      'a b/a.yaml': policyText('a', 'resources: {limits: {cpu: 4}}'),
      '--format.yaml': policyText('b'),
      '$(touch here).yaml': policyText('c'),
    };
    const paths = `${Object.keys(files).join('\n')}\n`;
    const good = run({ paths }, files);
    assert.deepEqual([good.status, good.stdout], [0, '']);
    assert.match(good.stderr, /3 valid policies, 0 errors/);
    assert.match(run({ paths, 'max-cpu': '2' }, files).stdout, /^::error file=a b\/a\.yaml/);
  });

  test('has inputs that are variables of Terminals, each with its default and its words', () => {
    const known = new Set<string>([...variables.map(({ name }) => name), 'INPUT_PATHS']);
    for (const name of Object.keys(step.env ?? {})) assert.ok(known.has(name), name);
    const used = Object.values(step.env ?? {}).join();
    for (const [name, { description, default: value }] of Object.entries(action.inputs)) {
      assert.ok(used.includes(`inputs.${name} `), name);
      assert.ok(description.length > 10 && typeof value === 'string', name);
    }
    for (const { run: script = '' } of action.runs.steps) assert.doesNotMatch(script, /\$\{\{/);
  });
});

test('the hook of pre-commit checks the folder as a whole', () => {
  const [hook, ...others] = read('.pre-commit-hooks.yaml');
  assert.deepEqual(others, []);
  assert.equal(hook.pass_filenames, false);
  const [program, ...args] = [...hook.entry.split(' '), ...hook.args];
  assert.equal(
    program,
    Object.keys(JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')).bin)[0],
  );
  const call = (text: string) =>
    spawnSync(process.execPath, [path.join(root, 'src/terminals.js'), ...args], {
      cwd: directoryOf({ 'policies/a.yaml': text }),
      env: { PATH: process.env.PATH },
      timeout: 60_000,
    }).status;
  assert.deepEqual([call(policyText('a')), call(policyText('a', 'imgae: x'))], [0, 1]);
  const files = new RegExp(hook.files);
  assert.ok(files.test('policies/a.yaml') && files.test('a.yml') && !files.test('a.yaml.md'));
});

test('the schema is published where its $id says', () => {
  const schema = JSON.parse(readFileSync(path.join(root, 'schemas/policy.schema.json'), 'utf8'));
  const dockerfile = readFileSync(path.join(root, 'Dockerfile'), 'utf8');
  const [, repository] = /image\.source="https:\/\/github\.com\/([^"]+)"/.exec(dockerfile) ?? [];
  assert.equal(schema.$id, `https://raw.githubusercontent.com/${repository}/main/schemas/policy.schema.json`);
});

test('the example of docs/gitops.md is good, and shown as it says', async () => {
  const page = readFileSync(path.join(root, 'docs/gitops.md'), 'utf8');
  const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => text);
  const example = blocks.find((text) => text.includes('kind: PolicyDefaults')) ?? assert.fail();
  assert.deepEqual(problemsOf(setOf({ 'all.yaml': example })), []);
  const [, shown = ''] = /--effective\n([\s\S]*?)```/.exec(page) ?? [];
  const cwd = directoryOf({ 'policies/all.yaml': example });
  const { out } = await terminalsHere(['policies', 'show', 'data-science', '--effective'], { cwd });
  for (const line of shown.split('\n')) assert.ok(line === '…' || out.includes(line), line);
});
