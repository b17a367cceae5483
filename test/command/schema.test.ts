import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { terminals } from './cli.ts';

test('schema prints the published schema', async () => {
  const { code, out, err } = await terminals(['schema']);
  assert.deepEqual([code, err], [0, '']);
  const published = readFileSync(new URL('../../schemas/policy.schema.json', import.meta.url), 'utf8');
  assert.deepEqual(JSON.parse(out), JSON.parse(published));
});

test('schema takes no options', async () => {
  const { code, out, err } = await terminals(['schema', '--json']);
  assert.deepEqual([code, out], [2, '']);
  assert.match(err, /^terminals: .*--json.*\nSee "terminals schema --help"\.\n$/);
});
