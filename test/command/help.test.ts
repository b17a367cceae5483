import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { terminals } from './cli.ts';

const commands = [
  'serve',
  'operator',
  'validate',
  'plan',
  'policies',
  'reconcile',
  'retry',
  'explain',
  'list',
  'stop',
  'delete',
  'schema',
] as const;

describe('--help', { concurrency: 2 }, () => {
  for (const command of commands) {
    test(`of ${command} says its usage and its exit codes, in lines that fit a terminal`, async () => {
      const { code, out, err } = await terminals([command, '--help']);
      assert.deepEqual([code, err], [0, '']);
      assert.match(out, new RegExp(`^Usage: terminals ${command}\\b`));
      const [, exitCodes = ''] = /\n\nExit codes: (.*)\n$/s.exec(out) ?? assert.fail('no exit codes');
      for (const number of command === 'schema' ? [0, 2] : [0, 1, 2]) {
        assert.match(exitCodes, new RegExp(`(?:^|, )${number} \\w`));
      }
      for (const line of out.split('\n')) assert.ok(line.length <= 120, line);
    });

    test(`of ${command} names every option that it takes, and no other`, async () => {
      const { default: loaded } = await import(`../../src/command/${command}.ts`).then((module) => ({
        default: module[command === 'delete' ? 'remove' : command],
      }));
      const named = new Set([...loaded.help.matchAll(/--([a-z-]+)/g)].map(([, name]) => name));
      named.delete('help');
      assert.deepEqual([...named].sort(), Object.keys(loaded.options).sort());
    });
  }
});

test('every command that the overview lists has its help tested here', async () => {
  const { out } = await terminals(['--help']);
  const [, listed = ''] = /\nCommands:\n(.*?)\n\n/s.exec(out) ?? assert.fail('no list of commands');
  const names = listed.split('\n').map((line) => line.trim().split(' ')[0]);
  assert.deepEqual(names.sort(), [...commands].sort());
});
