import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { IdentityUnavailableError } from '../../src/errors.ts';
import { OpenWebUiApi } from '../../src/identity/open-webui-api.ts';
import { UserGroups } from '../../src/identity/user-groups.ts';
import type { UserId } from '../../src/terminal/terminal.ts';
import { addUser, startOpenWebUi, testClock } from './fixtures.ts';

async function setup(t: TestContext, keyOf = 'root') {
  const openWebUi = await startOpenWebUi(t);
  addUser(openWebUi, 'root', ['ops'], 'admin');
  addUser(openWebUi, 'alice', ['data', 'web']);
  openWebUi.apiKeys.set('sk-key', keyOf);
  const clock = testClock();
  const groups = new UserGroups({
    api: new OpenWebUiApi({ url: openWebUi.url, timeoutMs: 2_000 }),
    adminKey: 'sk-key',
    ttlMs: 60_000,
    staleMs: 300_000,
    max: 100,
    now: clock.now,
  });
  const of = async (user: string) =>
    (await groups.of(user as UserId)).groups?.map(({ name }) => name) ?? null;
  return { openWebUi, clock, groups, of };
}

test('the groups of any user are looked up with an administrator\u2019s key, once in a while', async (t) => {
  const { openWebUi, clock, of } = await setup(t);
  assert.deepEqual(
    await Promise.all(Array.from({ length: 50 }, () => of('alice'))),
    Array(50).fill(['data', 'web']),
  );
  assert.equal(openWebUi.hits.get('/api/v1/users/alice/groups'), 1);
  addUser(openWebUi, 'alice', ['ml']);
  clock.pass(60_001);
  assert.deepEqual(await of('alice'), ['ml']);
});

test('a user whom Open WebUI does not know has no groups', async (t) => {
  const { of } = await setup(t);
  assert.deepEqual(await of('nobody'), []);
});

test('a user id can\u2019t turn the question into another one', async (t) => {
  const { openWebUi, of } = await setup(t);
  for (const user of ['..', '.', '../root', 'root/groups?x=', '%2e%2e', 'a/../../groups', '..\\..', 'x#']) {
    assert.deepEqual(await of(user), [], user);
  }
  assert.equal(openWebUi.hits.get('/api/v1/groups/'), undefined);
  assert.equal(openWebUi.hits.get('/api/v1/users/root/groups'), undefined);
});

test('known groups go on while Open WebUI is away, unknown ones are not guessed', async (t) => {
  const { openWebUi, clock, of } = await setup(t);
  await of('alice');
  openWebUi.down = true;
  clock.pass(60_001);
  assert.deepEqual(await of('alice'), ['data', 'web']);
  await assert.rejects(of('root'), IdentityUnavailableError);
});

test('a key that is no administrator\u2019s is said to be none', async (t) => {
  const { of } = await setup(t, 'alice');
  await assert.rejects(of('alice'), /must be an API key of an administrator|does not tell the groups/);
});

test('from an older Open WebUI the user\u2019s are picked from the list of all groups', async (t) => {
  const { openWebUi, of } = await setup(t);
  openWebUi.version = 'older';
  assert.deepEqual(await of('alice'), ['data', 'web']);
  openWebUi.version = 'without-members';
  assert.equal(await of('root'), null);
});
