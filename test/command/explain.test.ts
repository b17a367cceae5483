import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyText } from '../policy/fixtures.ts';
import { directoryOf, terminalsHere } from './cli.ts';

const folder = directoryOf({
  'policies/data.yaml': policyText('data', 'groups: [data, "ml-*"]', 'priority: 10'),
  'policies/web.yaml': policyText('web', 'groups: [web]', 'priority: 5'),
});

const explain = (...args: readonly string[]) => terminalsHere(['explain', ...args], { cwd: folder });

test('says the policy of some groups step by step', async () => {
  const { code, out } = await explain('--groups', 'web, ml-vision');
  assert.equal(code, 0);
  assert.equal(
    out,
    'The groups are web, ml-vision.\nPolicies for them: data (priority 10), web (priority 5).\nThe first of these is taken: data.\n',
  );
});

test('says a refusal by exit code 1', async () => {
  const { code, out } = await explain('--groups', 'staff', '--policy', 'web');
  assert.equal(code, 1);
  assert.match(out, /The policy web is for the groups web\.\nIt is refused\.\n$/);
});

test('tells no groups from unknown ones', async () => {
  assert.match((await explain('--groups', '')).out, /^The groups are none\./);
  assert.match((await explain()).out, /^The groups are unknown\./);
});

test('says it as JSON', async () => {
  const { out } = await explain('--policy', 'nothing', '--json');
  const { kind, policy, steps } = JSON.parse(out);
  assert.deepEqual([kind, policy], ['unknown', null]);
  assert.equal(steps.at(-1), 'There is no policy nothing.');
});

test('honours TERMINALS_UNKNOWN_GROUPS', async () => {
  const env = { TERMINALS_UNKNOWN_GROUPS: 'deny' };
  const { code, out } = await terminalsHere(['explain', '--policy', 'web'], { cwd: folder, env });
  assert.equal(code, 1);
  assert.match(out, /TERMINALS_UNKNOWN_GROUPS is deny/);
});
