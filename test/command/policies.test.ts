import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import { policyText } from '../policy/fixtures.ts';
import { directoryOf, terminals } from './cli.ts';

const root = directoryOf({
  'policies/a.yaml': policyText('a', 'image: a:1', 'idleTimeoutMinutes: 0', 'resources: {limits: {cpu: 4}}'),
  'broken/a.yaml': policyText('a', 'image: A B'),
  'broken/b.yaml': policyText('b', 'image: b:1'),
  'other/c.yaml': policyText('default', 'image: c:1'),
});

const policies = (args: readonly string[] = [], env: Readonly<Record<string, string>> = {}, cwd = root) =>
  terminals(['policies', ...args], { cwd, env });

/** The cells of a table, line by line. */
const cells = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => line.split(/ {2,}/));

describe('policies', { concurrency: 2 }, () => {
  test('lists every policy with what it sets and where it is declared, and needs no key', async () => {
    const { code, out, err } = await policies();
    assert.deepEqual([code, err], [0, '']);
    assert.deepEqual(cells(out), [
      ['NAME', 'IMAGE', 'CPU', 'MEMORY', 'IDLE', 'ROLLOUT', 'DECLARED'],
      ['a', 'a:1', '4', '1Gi', 'never', 'idle', 'policies/a.yaml:1'],
      ['default', 'ghcr.io/open-webui/open-terminal:latest', '1', '1Gi', 'never', 'idle', '(built-in)'],
    ]);
  });

  test('lists the built-in default where there is no directory', async () => {
    const { code, out } = await policies([], { TERMINALS_IMAGE: 'mine:1' }, '/');
    assert.equal(code, 0);
    assert.deepEqual(
      cells(out).map((line) => [line[0], line[1], line.at(-1)]),
      [
        ['NAME', 'IMAGE', 'DECLARED'],
        ['default', 'mine:1', '(built-in)'],
      ],
    );
  });

  test('--policies names another directory', async () => {
    const { code, out } = await policies(['--policies', 'other']);
    assert.equal(code, 0);
    assert.deepEqual(cells(out).at(1)?.slice(0, 2), ['default', 'c:1']);
  });

  test('lists limits as they will be in force, with a warning where they were lowered', async () => {
    const { code, out, err } = await policies([], { TERMINALS_MAX_CPU: '2' });
    assert.equal(code, 0);
    assert.equal(cells(out).at(1)?.[2], '2');
    assert.match(
      err,
      /^policies\/a\.yaml:8:29: warning: .*4 is above TERMINALS_MAX_CPU \(2 is used instead\)\n$/,
    );
  });

  test('with a broken one lists the others, says the problem on standard error, and is exit code 1', async () => {
    const { code, out, err } = await policies(['--policies', 'broken']);
    assert.equal(code, 1);
    assert.deepEqual(
      cells(out).map(([name]) => name),
      ['NAME', 'b', 'default'],
    );
    assert.match(err, /^broken\/a\.yaml:6:10: error: spec\.image: "A B" is not an image reference/);
  });

  test('of a directory that is not there says so, and is exit code 1', async () => {
    const { code, err } = await policies(['--policies', 'nowhere']);
    assert.equal(code, 1);
    assert.match(err, /the directory nowhere can't be read: it does not exist/);
  });

  test('--json has every field, the revision and the problems', async () => {
    const { code, out, err } = await policies(['--json', '--policies', path.join(root, 'policies')]);
    assert.deepEqual([code, err], [0, '']);
    const { revision, policies: list, problems } = JSON.parse(out);
    assert.match(revision, /^[0-9a-f]{16}$/);
    assert.deepEqual(problems, []);
    assert.equal(list.length, 2);
    assert.equal(list[0].id, 'a');
    assert.equal(list[0].spec.resources.limits.cpu, 4);
    assert.deepEqual(list[0].spec.mounts, []);
    assert.deepEqual(list[0].declaredAt, { file: 'policies/a.yaml', line: 1, column: 1 });
  });

  test('with a configuration that is not valid is exit code 2, with every problem', async () => {
    const { code, out, err } = await policies([], { TERMINALS_MAX_CPU: 'two', TERMINALS_LOG_LEVEL: 'loud' });
    assert.deepEqual([code, out], [2, '']);
    assert.match(
      err,
      /^terminals: the configuration is not valid:\n {2}TERMINALS_MAX_CPU="two": .*\n {2}TERMINALS_LOG_LEVEL="loud": /,
    );
  });
});
