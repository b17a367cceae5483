import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineUnavailableError } from '../../src/errors.ts';
import { policyText } from '../policy/fixtures.ts';
import { keyOf } from '../reconcile/harness.ts';
import { adminStack, codeOf } from './admin.ts';

const files = {
  'all.yaml': `${policyText('data')}---\n${policyText('web', 'rollout: {idleAfterMinutes: 0}')}`,
};
const names = (json: { terminals: { name: string }[] }) => json.terminals.map(({ name }) => name);

test('terminals are listed by name with what is known of them, and without their keys', async (t) => {
  const { call, run, backend } = await adminStack(t, { files });
  for (const user of ['cleo', 'alice', 'bob']) await run(user, 'data');
  const asked = backend.calls.length;
  const { json, body } = await call('GET', '/terminals');
  assert.equal(backend.calls.length, asked);
  assert.deepEqual(names(json), ['terminals-data-alice', 'terminals-data-bob', 'terminals-data-cleo']);
  const [alice] = json.terminals;
  assert.deepEqual(
    [alice.user_id, alice.policy_id, alice.context_id, alice.phase, alice.address, alice.in_flight],
    ['alice', 'data', null, 'Running', '127.0.0.1:9', 0],
  );
  assert.ok(Date.now() - Date.parse(alice.last_activity_at) < 60_000);
  assert.doesNotMatch(body, /key-of-/);
  assert.deepEqual((await call('GET', '/terminals/terminals-data-alice')).json, alice);
  assert.equal(codeOf(await call('GET', '/terminals/terminals-data-nobody')), '404 not-found');
});

test('terminals are filtered by user, policy, context and phase', async (t) => {
  const { call, run } = await adminStack(t, { files });
  await run('alice', 'data');
  await run('alice', 'web');
  await run('alice', 'web', 'chat:1');
  await run('bob', 'web');
  await call('POST', '/terminals/stop', { user_id: 'bob' });
  const count = async (query: string) => (await call('GET', `/terminals?${query}`)).json.total;
  assert.equal(await count('user_id=alice'), 3);
  assert.equal(await count('policy_id=web'), 3);
  assert.equal(await count('policy_id=web&user_id=alice&context_id=default'), 1);
  assert.equal(await count('context_id=chat%3A1'), 1);
  assert.equal(await count('phase=Idle'), 1);
  assert.equal(await count('phase=Running&user_id=bob'), 0);
});

test('pages follow one another until the last', async (t) => {
  const { call, run } = await adminStack(t, { files });
  for (const user of ['a', 'b', 'c', 'd', 'e']) await run(user, 'data');
  const seen: string[] = [];
  let query = 'limit=2';
  for (let page = 0; page < 5 && query !== ''; page += 1) {
    const { json } = await call('GET', `/terminals?${query}`);
    assert.equal(json.total, 5);
    seen.push(...names(json));
    query = json.next === null ? '' : `limit=2&cursor=${json.next}`;
  }
  assert.deepEqual(
    seen,
    ['a', 'b', 'c', 'd', 'e'].map((user) => `terminals-data-${user}`),
  );
  assert.equal((await call('GET', '/terminals?limit=5')).json.next, null);
});

test('a query that is not understood is refused, and says what is wrong', async (t) => {
  const { call } = await adminStack(t);
  for (const query of [
    'limit=0',
    'limit=1001',
    'limit=x',
    'phase=Sleeping',
    'usr=alice',
    'user_id=a&user_id=b',
  ]) {
    const answer = await call('GET', `/terminals?${query}`);
    assert.equal(codeOf(answer), '400 bad-request', query);
    assert.ok(answer.json.detail.includes(query.split('=')[0] ?? ''), answer.json.detail);
  }
});

test('a terminal is stopped, and which one is said', async (t) => {
  const { call, run, backend } = await adminStack(t, { files });
  await run('alice', 'data');
  await run('bob', 'data');
  const { status, json } = await call('POST', '/terminals/stop', { user_id: 'alice', policy_id: 'data' });
  assert.deepEqual(
    [status, json],
    [200, { matched: 1, skipped_active: 0, terminals: ['terminals-data-alice'], failed: [], stopped: 1 }],
  );
  assert.equal(backend.actual(keyOf('alice', 'data'))?.phase, 'Idle');
  assert.equal(backend.actual(keyOf('bob', 'data'))?.phase, 'Running');
  assert.equal((await call('POST', '/terminals/stop', { user_id: 'alice' })).json.matched, 0);
});

test('a refresh removes containers and keeps files; a reset removes those, too', async (t) => {
  const { call, run, backend } = await adminStack(t, { files });
  const { name } = await run('alice', 'web');
  const body = { policy_id: 'web', only_idle: false, reset: false };
  const refreshed = await call('POST', '/terminals/refresh', body);
  assert.deepEqual(
    [refreshed.json.refreshed, refreshed.json.reset, refreshed.json.terminals],
    [1, 0, [name]],
  );
  assert.deepEqual([backend.actual(keyOf('alice', 'web')), backend.homes.has(name)], [undefined, true]);
  await run('alice', 'web');
  const reset = await call('POST', '/terminals/refresh', { ...body, reset: true });
  assert.deepEqual([reset.json.refreshed, reset.json.reset], [1, 1]);
  assert.ok(!backend.homes.has(name));
});

test('a refresh leaves alone what is in use, unless it is told not to', async (t) => {
  const { call, run, program } = await adminStack(t, { files });
  await run('alice', 'data');
  await run('alice', 'web');
  const busy = await program.reconciler.reach(keyOf('bob', 'web'), new AbortController().signal);
  busy.use.begin();
  // "data" counts as idle after five minutes, "web" at once; bob has a request under way.
  const idle = await call('POST', '/terminals/refresh', {});
  assert.deepEqual(
    [idle.json.matched, idle.json.skipped_active, idle.json.terminals],
    [3, 2, ['terminals-web-alice']],
  );
  busy.use.end();
  const all = await call('POST', '/terminals/refresh', { only_idle: false });
  assert.deepEqual(all.json.terminals, ['terminals-data-alice', 'terminals-web-bob']);
});

test("everybody's files are not wiped by a body that names nobody", async (t) => {
  const { call, run, backend } = await adminStack(t, { files });
  const { name } = await run('alice', 'web');
  for (const body of [{ reset: true }, { reset: true, only_idle: false, user_id: null, policy_id: null }]) {
    assert.equal(codeOf(await call('POST', '/terminals/refresh', body)), '400 bad-request');
  }
  assert.ok(backend.homes.has(name));
});

test('what could not be done is said of each; where nothing could, it is a failure', async (t) => {
  const { call, run, backend } = await adminStack(t, { files });
  await run('alice', 'web');
  await run('bob', 'web');
  const fault = {
    before: () => {
      throw new EngineUnavailableError('The engine does not answer.', 'Start it.');
    },
  };
  backend.inject('stop', fault);
  const some = await call('POST', '/terminals/stop', {});
  assert.deepEqual([some.status, some.json.matched, some.json.stopped], [200, 2, 1]);
  assert.match(some.json.failed[0].detail, /does not answer/);
  backend.inject('stop', fault, 5);
  assert.equal(codeOf(await call('POST', '/terminals/stop', {})), '503 engine-unavailable');
});

test('the status counts terminals by phase and says what is wrong with policies', async (t) => {
  const broken = `${policyText('data')}---\n${policyText('bad', 'image: A B')}`;
  const { call, run, program } = await adminStack(t, { files: { 'all.yaml': broken } });
  await run('alice', 'data');
  await run('bob', 'data');
  await call('POST', '/terminals/stop', { user_id: 'bob' });
  const { json } = await call('GET', '/status');
  assert.deepEqual(json.terminals, {
    total: 2,
    phases: { Pending: 0, Provisioning: 0, Running: 1, Idle: 1, Error: 0 },
  });
  assert.deepEqual(
    [json.version, json.backend, json.synced, json.unenforced],
    ['1.2.3', 'process', true, []],
  );
  const { revision, count, writable, problems } = json.policies;
  assert.deepEqual([revision, count, writable], [program.policies.current.revision, 2, false]);
  assert.deepEqual(
    [problems[0].file, problems[0].path, problems[0].line],
    ['policies/all.yaml', 'spec.image', 12],
  );
});

test('a selection is explained as it would be made', async (t) => {
  const policies = `${policyText('data', 'groups: [data]')}---\n${policyText('ml', 'groups: [ml-*]', 'priority: 5')}`;
  const { call } = await adminStack(t, { files: { 'all.yaml': policies } });
  const ask = async (query: string) => (await call('GET', `/selection?${query}`)).json;
  const both = await ask('groups=data,ml-ops');
  assert.deepEqual([both.kind, both.policy, both.reason], ['selected', 'ml', null]);
  assert.match(both.steps.join(' '), /ml \(priority 5\), data \(priority 0\)/);
  const other = await ask('groups=web&policy=data');
  assert.deepEqual([other.kind, other.policy], ['refused', null]);
  assert.match(other.reason, /other groups/);
  assert.equal((await ask('policy=none')).kind, 'unknown');
  assert.match((await ask('')).steps[0], /unknown/);
  assert.match((await ask('groups=')).steps[0], /none/);
});
