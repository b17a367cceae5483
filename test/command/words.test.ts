import assert from 'node:assert/strict';
import { test } from 'node:test';
import { terminalsHere } from './cli.ts';

for (const command of ['serve', 'operator', 'explain', 'list', 'reconcile', 'schema']) {
  test(`${command} does not begin where a word is one too many`, async () => {
    const { code, out, err } = await terminalsHere([command, 'policies']);
    assert.deepEqual([code, out], [2, '']);
    assert.equal(
      err,
      `terminals: ${command} takes only options, and "policies" is none\nSee "terminals ${command} --help".\n`,
    );
  });
}
