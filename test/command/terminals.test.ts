import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UsageError } from '../../src/command/command.ts';
import { selectTerminals } from '../../src/command/terminals.ts';
import type { Actual, PolicyId, TerminalName, UserId } from '../../src/terminal/terminal.ts';
import { idle } from '../terminal/fixtures.ts';
import { directoryOf, terminals, terminalsHere } from './cli.ts';

function terminal(name: string, user: string, policy: string): Actual {
  const key = { user: user as UserId, policy: policy as PolicyId, context: null };
  return { ...idle(), key, name: name as TerminalName };
}

const all = [
  terminal('alice-default', 'alice', 'default'),
  terminal('alice-gpu', 'alice', 'gpu'),
  terminal('bob-gpu', 'bob', 'gpu'),
];

describe('the terminals that are meant', () => {
  const chosen = (values: Parameters<typeof selectTerminals>[1], names: readonly string[] = []) =>
    selectTerminals(all, values, names).map(({ name }) => name);

  test('are those named, those of a user, those of a policy, or all', () => {
    assert.deepEqual(chosen({}, ['bob-gpu', 'alice-gpu']), ['alice-gpu', 'bob-gpu']);
    assert.deepEqual(chosen({ user: 'alice' }), ['alice-default', 'alice-gpu']);
    assert.deepEqual(chosen({ policy: 'gpu' }), ['alice-gpu', 'bob-gpu']);
    assert.deepEqual(chosen({ all: true }), ['alice-default', 'alice-gpu', 'bob-gpu']);
  });

  test('are those that everything said is true of', () => {
    assert.deepEqual(chosen({ user: 'alice', policy: 'gpu' }), ['alice-gpu']);
    assert.deepEqual(chosen({ user: 'bob', all: true }), ['bob-gpu']);
    assert.deepEqual(chosen({ user: 'bob' }, ['alice-gpu']), []);
  });

  test('are none of a user or a policy that has none', () => {
    assert.deepEqual(chosen({ user: 'carol' }), []);
    assert.deepEqual(chosen({ policy: 'nothing' }), []);
  });

  test('have to be said: nothing never stands for all', () => {
    assert.throws(() => chosen({}), UsageError);
    assert.throws(() => chosen({ all: false }), UsageError);
  });

  test('have to be there, if named, or nothing is done at all', () => {
    assert.throws(() => chosen({}, ['bob-gpu', 'carol']), /there is no terminal "carol"/);
  });
});

describe('where there are no terminals yet', () => {
  const root = directoryOf({});
  const run = (...args: readonly string[]) =>
    terminalsHere([...args, '--backend', 'process', '--data-dir', 'data'], { cwd: root });

  for (const [args, out] of [
    ['list', 'NAME  USER  POLICY  CONTEXT  PHASE  ADDRESS\n'],
    ['list --json', '[]\n'],
    ['plan', '0 terminals, 0 to change\n'],
    ['stop --all', ''],
    ['delete --all --yes', ''],
  ] as const) {
    test(`${args} is done, and prints ${JSON.stringify(out)}`, async () => {
      assert.deepEqual(await run(...args.split(' ')), { code: 0, out, err: '' });
    });
  }

  for (const [args, words] of [
    ['stop', 'say which terminals: by NAME (see "terminals list"), --user, --policy or --all'],
    ['delete --yes', 'say which terminals: by NAME (see "terminals list"), --user, --policy or --all'],
    ['stop nobody', 'there is no terminal "nobody"'],
    ['delete nobody --yes', 'there is no terminal "nobody"'],
    ['delete --all', 'nothing was deleted: add --yes to delete'],
  ] as const) {
    test(`${args} is exit code 2: ${words}`, async () => {
      const [name] = args.split(' ');
      assert.deepEqual(await run(...args.split(' ')), {
        code: 2,
        out: '',
        err: `terminals: ${words}\nSee "terminals ${name} --help".\n`,
      });
    });
  }
});

// A process of its own each, since the client of the engine reads DOCKER_HOST out of the process: here it would find a real one.
describe('where the engine does not answer', { concurrency: 2 }, () => {
  const env = { DOCKER_HOST: 'unix:///nowhere/docker.sock' };
  for (const args of ['list', 'plan', 'stop nobody', 'delete nobody']) {
    test(`${args} is exit code 1, in one line that says what to do`, async () => {
      const { code, out, err } = await terminals(args.split(' '), { env });
      assert.deepEqual([code, out], [1, '']);
      assert.match(err, /^terminals: The Docker engine does not answer .*DOCKER_HOST\.\n$/);
    });
  }
});

describe('serve does not start', () => {
  for (const [what, args, env, words] of [
    ['without a key where others can reach it', [], {}, /TERMINALS_API_KEY: no key is set, and 0\.0\.0\.0/],
    ['on a port that is none', ['--port', '70000', '--dev'], {}, /TERMINALS_PORT="70000": not a port/],
    ['on a backend that is none', ['--backend', 'dokcer', '--dev'], {}, /Did you mean docker\?/],
    ['with a variable that can not be read', ['--dev'], { TERMINALS_MAX_CPU: 'x' }, /TERMINALS_MAX_CPU="x"/],
  ] as const) {
    test(`${what}: exit code 2, with the reason`, async () => {
      const { code, out, err } = await terminalsHere(['serve', ...args], { env });
      assert.deepEqual([code, out], [2, '']);
      assert.match(err, words);
    });
  }
});
