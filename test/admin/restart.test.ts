import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyText } from '../policy/fixtures.ts';
import { send } from '../proxy/stack.ts';
import { adminStack, codeOf, sharedKey } from './admin.ts';

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

test('a program that begins with a broken default serves the other policies, and refuses who needs that one', async (t) => {
  const files = { 'a.yaml': policyText('a'), 'default.yaml': policyText('default', 'image: A B') };
  const { call, port } = await adminStack(t, { files });
  assert.deepEqual(
    (await call('GET', '/policies')).json.map(({ id }: { id: string }) => id),
    ['a'],
  );
  assert.match(JSON.stringify((await call('GET', '/status')).json), /no policy \\"default\\" is in force/);
  const headers = { authorization: `Bearer ${sharedKey}`, 'x-user-id': 'alice' };
  const refused = await send({ port }, '/files/list', { headers });
  assert.equal(codeOf({ ...refused, json: JSON.parse(refused.body) }), '404 policy-unknown');
});
