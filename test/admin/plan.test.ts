import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Revision } from '../../src/terminal/terminal.ts';
import { policyText } from '../policy/fixtures.ts';
import { until } from '../reconcile/harness.ts';
import { adminStack, asAdmin, codeOf } from './admin.ts';

const data = policyText('data', 'image: data:1', 'env: {TOKEN: hunter2}', 'idleTimeoutMinutes: 0');
const files = { 'data.yaml': data };
const edited = data.replace('data:1', 'data:2').replace('hunter2', 'hunter3');

test('of policies in force it says what is about to be done with each terminal, when and why', async (t) => {
  const { call, run, program, backend } = await adminStack(t, { files });
  const { key } = await run('alice', 'data');
  const { json: quiet } = await call('GET', '/plan');
  assert.deepEqual(quiet.terminals[0].steps, []);
  assert.equal(quiet.terminals[0].reason, 'as declared');
  assert.equal(quiet.revision, program.policies.current.revision);
  const actual = backend.actual(key);
  assert.ok(actual);
  backend.outside(key, { ...actual, revision: 'of-long-ago' as Revision });
  await until(() => [...program.reconciler.entries][0]?.actual?.revision === 'of-long-ago', 'it is seen');
  const { json } = await call('GET', '/plan');
  const [{ user, policy, steps }] = json.terminals;
  assert.deepEqual([user, policy], ['alice', 'data']);
  assert.equal(steps[0].action, 'replace');
  assert.equal(steps[0].reason, 'the policy changed (rollout when idle)');
  assert.match(steps[0].when, /^20\d\d-.*Z$/);
});

test('of files it says what they would change, field by field and terminal by terminal, and changes nothing', async (t) => {
  const { call, run, program, backend } = await adminStack(t, { files });
  const alice = await run('alice', 'data');
  const bob = await run('bob');
  const { revision } = program.policies.current;
  const before = [backend.actual(alice.key), backend.actual(bob.key)];
  const { status, json, body } = await call('POST', '/plan', {
    files: [{ path: 'data.yaml', text: edited }],
  });
  assert.equal(status, 200, body);
  assert.deepEqual(json.policies, [
    {
      policy: 'data',
      declared: 'data.yaml:1',
      change: 'changed',
      changes: [
        { field: 'env.TOKEN', from: '(set)', to: '(changed)' },
        { field: 'image', from: 'data:1', to: 'data:2' },
      ],
    },
  ]);
  const steps = Object.fromEntries(
    json.terminals.map((each: { user: string; steps: { action: string; change: boolean }[] }) => [
      each.user,
      each.steps.filter(({ change }) => change).map(({ action }) => action),
    ]),
  );
  assert.deepEqual(steps, { alice: ['replace'], bob: [] });
  assert.doesNotMatch(body, /hunter/);
  assert.notEqual(json.revision, revision);
  assert.equal(program.policies.current.revision, revision);
  assert.equal((await call('GET', '/policies/data')).json.data.image, 'data:1');
  await program.reconciler.resync();
  assert.deepEqual([backend.actual(alice.key), backend.actual(bob.key)], before, 'nothing was done');
});

test('files with errors are answered with their problems, and what they break counts as it is', async (t) => {
  const { call, run } = await adminStack(t, { files });
  await run('alice', 'data');
  const broken = [{ path: 'elsewhere/data.yaml', text: data.replace('data:1', 'A B') }];
  const { status, json } = await call('POST', '/plan', { files: broken });
  assert.equal(status, 200);
  assert.equal(json.problems[0].file, 'elsewhere/data.yaml');
  assert.equal(json.problems[0].severity, 'error');
  assert.deepEqual(json.policies, []);
  assert.deepEqual(json.terminals[0].steps, []);
});

test('broken files under other paths than those of the server take no policy away', async (t) => {
  const ours = { 'a.yaml': policyText('default', 'image: ours:1'), 'data.yaml': data };
  const { call } = await adminStack(t, { files: ours });
  const { json } = await call('POST', '/plan', {
    files: [{ path: 'checkout/a.yaml', text: `${policyText('default')}  }{` }],
  });
  assert.deepEqual(json.policies, []);
  assert.equal(json.problems[0]?.file, 'checkout/a.yaml');
});

test('an empty file does not hide that the others go, whatever its path is', async (t) => {
  const ours = { 'a.yaml': policyText('default', 'image: ours:1'), 'data.yaml': data };
  const { call } = await adminStack(t, { files: ours });
  const empty = { path: 'checkout/empty.yaml', text: '\n' };
  const { json } = await call('POST', '/plan', {
    files: [empty, { path: 'checkout/a.yaml', text: policyText('default', 'image: ours:1') }],
  });
  assert.deepEqual(
    json.policies.map(({ policy, change }: { policy: string; change: string }) => [policy, change]),
    [['data', 'removed']],
  );
  assert.match(json.problems[0]?.message, /the file is empty/);
});

test('without files all policies but the built-in one would go', async (t) => {
  const { call, run } = await adminStack(t, { files });
  await run('alice', 'data');
  const { json } = await call('POST', '/plan', { files: [] });
  assert.deepEqual(
    json.policies.map(({ policy, change }: { policy: string; change: string }) => [policy, change]),
    [['data', 'removed']],
  );
  assert.equal(json.terminals[0].steps[0].action, 'stop');
});

test('a revision that is held back is not said to be rolled out by an edit that keeps it', async (t) => {
  const rollout = 'rollout: {when: now, pauseOnFailures: 1}';
  const { call, run, backend, program } = await adminStack(t, {
    env: { TERMINALS_POLICY_WRITES: 'true' },
    files: { 'data.yaml': policyText('data', 'image: data:1', 'idleTimeoutMinutes: 0', rollout) },
  });
  await run('alice', 'data');
  backend.inject('prepare', { before: () => Promise.reject(new Error('no such image')) }, 50);
  backend.inject('create', { before: () => Promise.reject(new Error('no such image')) }, 50);
  const bad = policyText('data', 'image: data:bad', 'idleTimeoutMinutes: 0', rollout);
  const spec = { image: 'data:bad', idleTimeoutMinutes: 0, rollout: { when: 'now', pauseOnFailures: 1 } };
  assert.equal((await call('PUT', '/policies/data', { spec })).status, 200);
  const policy = () => [...program.policies.current.policies.values()].find(({ id }) => id === 'data');
  await until(() => {
    const current = policy();
    return current !== undefined && program.reconciler.rollouts.stateOf(current).stalled !== null;
  }, 'it stalls');
  const more = bad.replace('idleTimeoutMinutes: 0', 'idleTimeoutMinutes: 90');
  const { json } = await call('POST', '/plan', { files: [{ path: 'policies/data.yaml', text: more }] });
  assert.ok(json.policies.length > 0);
  const replaced = json.terminals.flatMap((each: { steps: { action: string; reason: string }[] }) =>
    each.steps.filter(({ action, reason }) => action === 'replace' && reason.includes('policy changed')),
  );
  assert.deepEqual(replaced, []);
});

test('it is for administrators, takes nothing but files, and no more than a megabyte', async (t) => {
  const { call } = await adminStack(t);
  for (const method of ['GET', 'POST'])
    assert.equal((await call(method, '/plan', undefined, {})).status, 401);
  assert.equal(codeOf(await call('POST', '/plan', {})), '400 bad-request');
  assert.equal(codeOf(await call('POST', '/plan', { files: [{ path: '', text: '' }] })), '400 bad-request');
  const text = `# ${'x'.repeat(400 * 1024)}\n`;
  assert.equal((await call('POST', '/plan', { files: [{ path: 'a.yaml', text }] })).status, 200);
  const much = { files: [1, 2, 3].map((number) => ({ path: `${number}.yaml`, text })) };
  assert.equal((await call('POST', '/plan', much, asAdmin)).status, 413);
});
