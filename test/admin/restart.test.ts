import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyText } from '../policy/fixtures.ts';
import { adminStack } from './admin.ts';

test('a policy that is broken stays in force over a restart of the program', async (t) => {
  const own = policyText('default', 'groups: [staff]', 'image: own:1');
  const { program, cwd } = await adminStack(t, { files: { 'default.yaml': own } });
  await program.close();
  const { call } = await adminStack(t, { cwd, files: { 'default.yaml': own.replace('own:1', 'A B') } });
  const { json } = await call('GET', '/policies/default');
  assert.deepEqual([json.data.image, json.spec.groups], ['own:1', ['staff']]);
  assert.equal(
    json.status.conditions.find(({ status }: { status: string }) => status === 'True').reason,
    'PolicyInvalid',
  );
});
