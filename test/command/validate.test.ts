import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import { policyText } from '../policy/fixtures.ts';
import { directoryOf, terminals } from './cli.ts';

const root = directoryOf({
  'policies/a.yaml': policyText('a'),
  'policies/team/b.yml': `${policyText('b')}---\n${policyText('c')}`,
  'good.yaml': policyText('good', 'packages: [x, x]'),
  'bad.yaml': policyText('bad', 'imgae: alpine', 'idleTimeoutMinutes: -1'),
  'a,b:c%.yaml': policyText('odd', 'env: {"1\\n%": x}'),
  'twin.yaml': policyText('a'),
  'syntax.yaml': 'kind: [\n',
  'binary.yaml': Buffer.from([0xff, 0xfe, 0]),
  'empty.yaml': '',
  'big.yaml': policyText(
    'big',
    'image: registry.example.org/big:1',
    'resources: {limits: {cpu: 4, memory: 8Gi}}',
  ),
  'empty/README.md': 'no policies',
});

const warning = 'good.yaml:6:17: warning: spec.packages[1]: "x" is listed twice (keep one of the two)\n';
const errors =
  'bad.yaml:6:3: error: spec.imgae: the field "imgae" is not known (did you mean "image"?)\n' +
  'bad.yaml:7:23: error: spec.idleTimeoutMinutes: it must be >= 0 (write for example 30)\n';

const validate = (args: readonly string[], env: Readonly<Record<string, string>> = {}, cwd = root) =>
  terminals(['validate', ...args], { cwd, env });

describe('validate as text', { concurrency: 2 }, () => {
  test('of ./policies without a path: exit code 0, nothing on standard output, and the counts', async () => {
    assert.deepEqual(await validate([]), {
      code: 0,
      out: '',
      err: '3 valid policies, 0 errors, 0 warnings\n',
    });
  });

  test('of TERMINALS_POLICIES_DIR, where that is set', async () => {
    const { code, out } = await validate([], { TERMINALS_POLICIES_DIR: path.join(root, 'bad.yaml') }, '/');
    assert.equal(code, 1);
    assert.match(out, /bad\.yaml:6:3: error: /);
  });

  test('with a warning alone is exit code 0', async () => {
    const ended = { code: 0, out: warning, err: '1 valid policy, 0 errors, 1 warning\n' };
    assert.deepEqual(await validate(['good.yaml']), ended);
  });

  test('says every problem with file:line:column, without colours into a pipe, and exit code 1', async () => {
    const ended = { code: 1, out: errors, err: '0 valid policies, 2 errors, 0 warnings\n' };
    assert.deepEqual(await validate(['bad.yaml']), ended);
  });

  test('is in colour where FORCE_COLOR asks for it', async () => {
    const { out } = await validate(['bad.yaml'], { FORCE_COLOR: '1' });
    assert.ok(out.includes('bad.yaml:6:3: \u001b[31merror\u001b[0m: '), out);
  });

  test('takes several paths, files and directories, and sees what they have twice', async () => {
    const { code, out, err } = await validate(['good.yaml', 'policies', 'twin.yaml', 'bad.yaml']);
    assert.equal(code, 1);
    const twice =
      'twin.yaml:1:1: error: metadata.name: the policy "a" is declared twice; the one at policies/a.yaml:1 is in force (rename one of the two, or delete it)\n';
    assert.equal(out, errors + warning + twice);
    assert.equal(err, '4 valid policies, 3 errors, 1 warning\n');
  });

  for (const [file, words] of [
    ['syntax.yaml', /^syntax\.yaml:2:1: error: Flow sequence/],
    ['binary.yaml', /^binary\.yaml:1:1: error: the file is binary \(not UTF-8 text\)/],
    ['nowhere.yaml', /^nowhere\.yaml:1:1: error: it does not exist/],
  ] as const) {
    test(`of ${file} is exit code 1`, async () => {
      const { code, out, err } = await validate([file]);
      assert.deepEqual([code, err], [1, '0 valid policies, 1 error, 0 warnings\n']);
      assert.match(out, words);
    });
  }

  test('of a directory that is not there is exit code 1', async () => {
    const { code, out } = await validate([], {}, path.join(root, 'empty'));
    assert.equal(code, 1);
    assert.match(out, /^policies:1:1: error: it does not exist/);
  });

  test('of a directory in which there is no policy is exit code 0', async () => {
    assert.deepEqual(await validate(['empty']), {
      code: 0,
      out: '',
      err: '0 valid policies, 0 errors, 0 warnings\n',
    });
  });

  test('of an empty file is exit code 0, with a warning', async () => {
    assert.deepEqual(await validate(['empty.yaml']), {
      code: 0,
      out: 'empty.yaml:1:1: warning: the file is empty (delete it to remove its policies)\n',
      err: '0 valid policies, 0 errors, 1 warning\n',
    });
  });
});

describe('validate honours', { concurrency: 2 }, () => {
  test('TERMINALS_MAX_CPU and TERMINALS_MAX_MEMORY, above which a limit is an error', async () => {
    const { code, out } = await validate(['big.yaml'], {
      TERMINALS_MAX_CPU: '2',
      TERMINALS_MAX_MEMORY: '4Gi',
    });
    assert.equal(code, 1);
    assert.match(out, /limits\.cpu: 4 is above TERMINALS_MAX_CPU \(write at most 2\)\n/);
    assert.match(out, /limits\.memory: 8Gi is above TERMINALS_MAX_MEMORY/);
  });

  test('TERMINALS_ALLOWED_IMAGES', async () => {
    const allowed = await validate(['big.yaml'], {
      TERMINALS_ALLOWED_IMAGES: 'a.org/*, registry.example.org/*',
    });
    assert.equal(allowed.code, 0);
    const { code, out } = await validate(['big.yaml'], { TERMINALS_ALLOWED_IMAGES: 'a.org/*' });
    assert.equal(code, 1);
    assert.match(out, /is not an allowed image \(TERMINALS_ALLOWED_IMAGES has a\.org\/\*\)/);
  });

  test('TERMINALS_IMAGE, which policies that name none will have', async () => {
    const allowed = { TERMINALS_ALLOWED_IMAGES: 'a.org/*' };
    assert.equal((await validate(['policies'], allowed)).code, 1);
    assert.equal((await validate(['policies'], { ...allowed, TERMINALS_IMAGE: 'a.org/x:1' })).code, 0);
  });

  for (const [name, value] of [
    ['TERMINALS_MAX_CPU', 'two'],
    ['TERMINALS_MAX_MEMORY', '4GB'],
    ['TERMINALS_ALLOWED_IMAGES', '^a$'],
    ['TERMINALS_IMAGE', 'A B'],
  ] as const) {
    test(`${name} in a sentence that names it where it can not be read, with exit code 2`, async () => {
      const { code, out, err } = await validate(['good.yaml'], { [name]: value });
      assert.deepEqual([code, out], [2, '']);
      assert.ok(err.startsWith(`terminals: ${name}: `), err);
      assert.equal(err.trim().split('\n').length, 2);
    });
  }
});

describe('validate --format', { concurrency: 2 }, () => {
  test('json has the number of good policies and every problem', async () => {
    const { code, out, err } = await validate(['bad.yaml', 'good.yaml', '--format', 'json']);
    assert.deepEqual([code, err], [1, '']);
    const { policies, problems } = JSON.parse(out);
    assert.equal(policies, 1);
    assert.equal(problems.length, 3);
    assert.deepEqual(problems[0], {
      file: 'bad.yaml',
      line: 6,
      column: 3,
      severity: 'error',
      path: 'spec.imgae',
      message: 'the field "imgae" is not known',
      hint: 'did you mean "image"?',
    });
  });

  test('json without problems is exit code 0', async () => {
    const { code, out } = await validate(['policies', '--format=json']);
    assert.deepEqual([code, JSON.parse(out)], [0, { policies: 3, problems: [] }]);
  });

  test('github prints annotations of a workflow', async () => {
    const { code, out } = await validate(['bad.yaml', 'good.yaml', '--format', 'github']);
    assert.equal(code, 1);
    assert.equal(
      out,
      '::error file=bad.yaml,line=6,col=3::spec.imgae: the field "imgae" is not known (did you mean "image"?)\n' +
        '::error file=bad.yaml,line=7,col=23::spec.idleTimeoutMinutes: it must be >= 0 (write for example 30)\n' +
        '::warning file=good.yaml,line=6,col=17::spec.packages[1]: "x" is listed twice (keep one of the two)\n',
    );
  });

  test('github escapes what would end a property or begin another command', async () => {
    const { out } = await validate(['a,b:c%.yaml', '--format', 'github']);
    assert.match(
      out,
      /^::error file=a%2Cb%3Ac%25\.yaml,line=6,col=9::spec\.env\.1%0A%25: "1%0A%25" is not a name/,
    );
    assert.equal(out.trim().split('\n').length, 1);
  });

  test('something else is exit code 2 with what it takes', async () => {
    const { code, out, err } = await validate(['--format', 'xml']);
    assert.deepEqual([code, out], [2, '']);
    assert.equal(
      err,
      'terminals: --format takes text, json, github, not "xml"\nSee "terminals validate --help".\n',
    );
  });
});
