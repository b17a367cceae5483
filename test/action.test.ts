import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { variables } from '../src/config.ts';
import { action, root, runStep } from './action/steps.ts';
import { directoryOf, terminalsHere } from './command/cli.ts';
import { policyText, problemsOf, setOf } from './policy/fixtures.ts';

const read = (file: string) => parse(readFileSync(path.join(root, file), 'utf8'));

const validate = (inputs: Readonly<Record<string, string>>, files: Readonly<Record<string, string>>) =>
  runStep('Validate', inputs, files);

describe('the GitHub Action', () => {
  test('annotates every problem, and fails', async () => {
    const { code, out } = await validate({}, { 'policies/a.yaml': policyText('a', 'imgae: x') });
    assert.equal(code, 1);
    assert.match(
      out,
      /^::error file=policies\/a\.yaml,line=6,col=3::spec\.imgae: the field "imgae" is not known/,
    );
  });

  test('takes several paths, whatever characters they have, and bounds', async () => {
    const files = {
      'a b/a.yaml': policyText('a', 'resources: {limits: {cpu: 4}}'),
      '--format.yaml': policyText('b'),
      '$(touch here).yaml': policyText('c'),
    };
    const paths = `${Object.keys(files).join('\n')}\n`;
    const good = await validate({ paths }, files);
    assert.deepEqual([good.code, good.out], [0, '']);
    assert.match(good.err, /3 valid policies, 0 errors/);
    assert.match((await validate({ paths, 'max-cpu': '2' }, files)).out, /^::error file=a b\/a\.yaml/);
  });

  test('hands every input over by the environment, never as text of a script', () => {
    const steps = action.runs.steps.filter(({ run }) => run !== undefined);
    const known = new Set<string>([...variables.map(({ name }) => name), 'GITHUB_TOKEN']);
    const handed = steps.flatMap(({ env = {} }) => Object.entries(env));
    for (const [name] of handed) assert.ok(known.has(name) || name.startsWith('INPUT_'), name);
    const used = handed.map(([, value]) => value).join();
    for (const [name, { description, default: value }] of Object.entries(action.inputs)) {
      assert.ok(used.includes(`inputs.${name} `), name);
      assert.ok(description.length > 10 && typeof value === 'string', name);
    }
    for (const { run = '' } of steps) assert.doesNotMatch(run, /\$\{\{/);
  });

  test('plans also where policies have errors, and where a server is named', () => {
    const [plan] = action.runs.steps.filter(({ name }) => name === 'Plan');
    const condition = ['!cancelled()', "steps.install.outcome == 'success'", "inputs.server != ''"];
    assert.equal(plan?.if, `\${{ ${condition.join(' && ')} }}`);
    assert.ok(action.runs.steps.some(({ id }) => id === 'install'));
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

test('the example of a workflow gives inputs that there are, and asks for the rights that they need', () => {
  const { permissions, jobs } = read('examples/github/policies.yaml');
  assert.deepEqual(permissions, { contents: 'read', 'pull-requests': 'write' });
  const page = readFileSync(path.join(root, 'docs/gitops.md'), 'utf8');
  const [shown = ''] = /on: pull_request\n[\s\S]*?(?=```)/.exec(page) ?? [];
  for (const steps of [jobs.plan.steps, parse(shown).jobs.policies.steps]) {
    const { uses, with: given } = steps.at(-1);
    assert.equal(uses, 'open-webui/terminals@main');
    assert.ok('server' in given && 'admin-key' in given);
    for (const input of Object.keys(given)) assert.ok(Object.hasOwn(action.inputs, input), input);
  }
});

test('every policy of the repository says to an editor where its schema is', () => {
  const id = JSON.parse(readFileSync(path.join(root, 'schemas/policy.schema.json'), 'utf8')).$id;
  const files = ['policies', 'examples', 'compose'].flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.ya?ml$/.test(file))
      .map((file) => path.join(root, folder, file)),
  );
  const policies = files.filter((file) => /^kind: Policy/m.test(readFileSync(file, 'utf8')));
  assert.ok(policies.length >= 4, String(policies));
  for (const file of policies) {
    const [first = ''] = readFileSync(file, 'utf8').split('\n');
    const [, named = ''] = /^# yaml-language-server: \$schema=(\S+)$/.exec(first) ?? [];
    // Examples are copied elsewhere; the others are edited here.
    if (file.includes('/examples/')) assert.equal(named, id, file);
    else assert.equal(path.resolve(path.dirname(file), named), path.join(root, 'schemas/policy.schema.json'));
  }
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
