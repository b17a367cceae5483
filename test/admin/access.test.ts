import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { addUser, startOpenWebUi } from '../identity/fixtures.ts';
import { until } from '../policy/fixtures.ts';
import { temporaryFolder } from '../reconcile/harness.ts';
import { adminStack, asAdmin, codeOf, sharedKey } from './admin.ts';

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const asOpenWebUi = bearer(sharedKey);

/** Two users, of whom ada is an administrator here, and root one of Open WebUI only. */
async function withTokens(t: TestContext, env: Record<string, string> = {}) {
  const openWebUi = await startOpenWebUi(t);
  addUser(openWebUi, 'ada', ['ops']);
  addUser(openWebUi, 'bob', ['web']);
  addUser(openWebUi, 'root', [], 'admin');
  const stack = await adminStack(t, {
    env: { TERMINALS_OPEN_WEBUI_URL: openWebUi.url, TERMINALS_ADMIN_GROUP: 'ops', ...env },
  });
  return { openWebUi, stack };
}

test('each of the admin keys is good, and the shared key is none of them', async (t) => {
  const { call } = await adminStack(t, { env: { TERMINALS_ADMIN_KEY: 'first-admin-key,second-admin-key' } });
  for (const key of ['first-admin-key', 'second-admin-key']) {
    assert.equal((await call('GET', '/status', undefined, bearer(key))).status, 200);
  }
  assert.equal(codeOf(await call('GET', '/status', undefined, asOpenWebUi)), '403 forbidden');
  assert.equal(codeOf(await call('GET', '/status', undefined, bearer('guessed'))), '401 unauthenticated');
  assert.equal(codeOf(await call('GET', '/status', undefined, {})), '401 unauthenticated');
});

test('an admin key from a file is the one that the file has now, as it is with the shared key', async (t) => {
  const folder = await temporaryFolder();
  const [admins, shared] = ['admin-key', 'shared-key'].map((name) => path.join(folder, name)) as [
    string,
    string,
  ];
  await writeFile(admins, 'the-old-admin-key\n');
  await writeFile(shared, 'the-old-shared-key\n');
  const env = {
    TERMINALS_ADMIN_KEY: '',
    TERMINALS_ADMIN_KEY_FILE: admins,
    TERMINALS_API_KEY: '',
    TERMINALS_API_KEY_FILE: shared,
  };
  const { call, logText } = await adminStack(t, { env });
  const status = async (key: string) => (await call('GET', '/status', undefined, bearer(key))).status;
  assert.deepEqual([await status('the-old-admin-key'), await status('the-old-shared-key')], [200, 403]);
  await writeFile(admins, 'the-new-admin-key\n');
  await writeFile(shared, 'the-new-shared-key\n');
  await until('the new admin key is taken', async () => (await status('the-new-admin-key')) === 200);
  await until('the new shared key is known', async () => (await status('the-new-shared-key')) === 403);
  assert.deepEqual([await status('the-old-admin-key'), await status('the-old-shared-key')], [401, 401]);
  assert.doesNotMatch(logText(), /the-(?:old|new)-/);
});

test('without an admin key the shared key is one', async (t) => {
  const { call } = await adminStack(t, { env: { TERMINALS_ADMIN_KEY: '' } });
  assert.equal((await call('GET', '/status', undefined, asOpenWebUi)).status, 200);
  assert.equal(codeOf(await call('GET', '/status', undefined, {})), '401 unauthenticated');
});

test('in open mode everybody is an administrator, unless an admin key is set', async (t) => {
  const open = { TERMINALS_API_KEY: '', TERMINALS_AUTH: 'open' };
  const all = await adminStack(t, { env: { ...open, TERMINALS_ADMIN_KEY: '' } });
  assert.equal((await all.call('GET', '/status', undefined, {})).status, 200);
  const keyed = await adminStack(t, { env: open });
  assert.equal((await keyed.call('GET', '/status')).status, 200);
  assert.equal(codeOf(await keyed.call('GET', '/status', undefined, {})), '401 unauthenticated');
  assert.deepEqual((await keyed.call('GET', '/policies', undefined, {})).json, []);
});

test('a token proves the admin group by name or id; every other user is refused', async (t) => {
  const { openWebUi, stack } = await withTokens(t);
  const status = async (user: string) =>
    (await stack.call('GET', '/status', undefined, bearer(await openWebUi.token(user)))).status;
  assert.deepEqual([await status('ada'), await status('bob'), await status('root')], [200, 403, 403]);
  const byId = await withTokens(t, { TERMINALS_ADMIN_GROUP: 'id-of-ops' });
  const token = await byId.openWebUi.token('ada');
  assert.equal((await byId.stack.call('GET', '/status', undefined, bearer(token))).status, 200);
});

test('without an admin group no token suffices', async (t) => {
  const { openWebUi, stack } = await withTokens(t, { TERMINALS_ADMIN_GROUP: '' });
  const answer = await stack.call('GET', '/status', undefined, bearer(await openWebUi.token('ada')));
  assert.equal(codeOf(answer), '403 forbidden');
});

test('the shared key does not speak for the admin group, whomever it names', async (t) => {
  const { openWebUi, stack } = await withTokens(t, { TERMINALS_OPEN_WEBUI_API_KEY: 'sk-of-root-0123456789' });
  openWebUi.apiKeys.set('sk-of-root-0123456789', 'root');
  const answer = await stack.call('GET', '/status', undefined, { ...asOpenWebUi, 'x-user-id': 'ada' });
  assert.equal(codeOf(answer), '403 forbidden');
});

test('a key in a cookie is none, and a page of another site can not use a token cookie', async (t) => {
  const { openWebUi, stack } = await withTokens(t);
  const cookie = (token: string) => ({ cookie: `token=${token}`, origin: 'https://evil.example' });
  const { authorization } = asAdmin;
  const key = await stack.call('GET', '/status', undefined, { cookie: `token=${authorization.slice(7)}` });
  assert.notEqual(key.status, 200);
  const body = { policy_id: 'default', reset: true };
  const forged = await stack.call('POST', '/terminals/refresh', body, cookie(await openWebUi.token('ada')));
  assert.equal(codeOf(forged), '403 forbidden');
});

test('without a key, where tokens are taken, the list of policies is empty and everything else refused', async (t) => {
  const { stack } = await withTokens(t);
  const list = await stack.call('GET', '/policies', undefined, {});
  assert.deepEqual([list.status, list.json], [200, []]);
  for (const [method, path] of [
    ['GET', '/policies/default'],
    ['GET', '/policies/default/lifecycle'],
    ['GET', '/status'],
    ['GET', '/terminals'],
    ['GET', '/selection'],
    ['GET', '/openapi.json'],
    ['DELETE', '/policies/default'],
  ] as const) {
    assert.equal(codeOf(await stack.call(method, path, undefined, {})), '401 unauthenticated', path);
  }
});

test('a token that is no good is refused, also on the list of policies', async (t) => {
  const { openWebUi, stack } = await withTokens(t);
  const old = await openWebUi.token('ada', { exp: 1 });
  assert.equal(codeOf(await stack.call('GET', '/policies', undefined, bearer(old))), '401 unauthenticated');
  const bob = bearer(await openWebUi.token('bob'));
  assert.equal(codeOf(await stack.call('GET', '/policies', undefined, bob)), '403 forbidden');
});

test('the shared key, where it is no admin key, finds out that this is Terminals and nothing of its policies', async (t) => {
  const { call } = await adminStack(t);
  const list = await call('GET', '/policies', undefined, asOpenWebUi);
  assert.deepEqual([list.status, list.json], [200, []]);
});

test('who asked is in one log line with the id of the request, and no secret is', async (t) => {
  const { openWebUi, stack } = await withTokens(t);
  const token = await openWebUi.token('ada');
  await stack.call('GET', '/status?', undefined, { ...asAdmin, 'x-request-id': 'one' });
  await stack.call('GET', '/status', undefined, { ...bearer(token), 'x-request-id': 'two' });
  await stack.call('GET', '/status', undefined, { ...asOpenWebUi, 'x-request-id': 'three' });
  await stack.call('GET', '/policies/none', undefined, { ...asAdmin, 'x-request-id': 'four' });
  const line = (id: string) => {
    const lines = stack.lines.filter(({ requestId }) => requestId === id);
    assert.equal(lines.length, 1, JSON.stringify(lines));
    const { msg, status, path, admin, user } = lines[0] ?? {};
    return [msg, status, path, admin, user];
  };
  assert.deepEqual(line('one'), ['admin request', 200, '/api/v1/status', 'admin-key', undefined]);
  assert.deepEqual(line('two'), ['admin request', 200, '/api/v1/status', 'open-webui', 'ada']);
  assert.deepEqual(line('three'), ['admin request failed', 403, '/api/v1/status', undefined, undefined]);
  assert.deepEqual(line('four'), [
    'admin request failed',
    404,
    '/api/v1/policies/none',
    'admin-key',
    undefined,
  ]);
  for (const secret of [sharedKey, asAdmin.authorization, token]) {
    assert.ok(!stack.logText().includes(secret));
  }
});
