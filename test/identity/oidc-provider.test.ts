import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { type TestContext, test } from 'node:test';
import { TokenRefusedError } from '../../src/errors.ts';
import { OidcMode } from '../../src/identity/oidc.ts';
import { credentials, sent, serve } from './fixtures.ts';
import { accessToken, groupsOf, provider, resource } from './provider.ts';

async function setup(t: TestContext, audiences = [resource]) {
  let current: RequestListener = () => undefined;
  const server = await serve(t, (request, response) => current(request, response));
  const rotate = async (kid: string) => {
    current = await provider(server.url, kid);
  };
  await rotate('first');
  const mode = new OidcMode({
    issuer: server.url,
    jwksUrl: null,
    audiences,
    groupsClaim: 'realm_access.roles',
    cooldownMs: 0,
  });
  const identify = async (token: string) => mode.identify(sent(token), credentials({}));
  return { server, rotate, mode, identify, tokenOf: (user: string) => accessToken(server.url, user) };
}

test('access tokens of a real provider say who calls and their groups', async (t) => {
  const { mode, identify, tokenOf } = await setup(t);
  for (const user of ['alice', 'bob']) {
    const token = await tokenOf(user);
    assert.ok(mode.recognises(sent(token)));
    assert.deepEqual(await identify(token), {
      user,
      groups: (groupsOf[user] ?? []).map((name) => ({ id: null, name })),
      admittedBy: 'oidc',
    });
  }
});

test('a user who is moved to another group has it with the next token', async (t) => {
  const { identify, tokenOf } = await setup(t);
  t.after(() => {
    groupsOf.alice = ['data'];
  });
  await identify(await tokenOf('alice'));
  groupsOf.alice = ['web'];
  assert.deepEqual((await identify(await tokenOf('alice'))).groups, [{ id: null, name: 'web' }]);
});

test('a real provider changes its key and goes away while requests go on', async (t) => {
  const { server, rotate, identify, tokenOf } = await setup(t);
  const before = await tokenOf('alice');
  await identify(before);
  await rotate('second');
  const after = await Promise.all(Array.from({ length: 5 }, () => tokenOf('bob')));
  for (const { user } of await Promise.all(after.map(identify))) assert.equal(user, 'bob');
  const later = await tokenOf('bob');
  server.down = true;
  assert.equal((await identify(later)).user, 'bob');
  assert.equal((await identify(before)).user, 'alice', 'verified before, and kept for its time');
});

test('a real provider\u2019s token for something else is refused', async (t) => {
  const { identify, tokenOf } = await setup(t, ['urn:example:something-else']);
  await assert.rejects(identify(await tokenOf('alice')), (error) => {
    assert.ok(error instanceof TokenRefusedError);
    assert.equal(error.reason, 'audience');
    return true;
  });
});
