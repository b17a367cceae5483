import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BadRequestError, UnauthenticatedError, UserMissingError } from '../../src/errors.ts';
import { CombinedAuthenticator } from '../../src/identity/combined.ts';
import type { Credentials } from '../../src/identity/identity.ts';
import { SharedKeys } from '../../src/identity/keys.ts';
import { OpenAuthenticator, SharedKeyMode } from '../../src/identity/shared-key.ts';

const keys = new SharedKeys(['the-key']);
const authenticator = new CombinedAuthenticator([
  new SharedKeyMode({ keys, forwardedJwt: null, groups: null }),
]);
const with_ = (changes: Partial<Credentials>): Credentials => ({
  authorization: undefined,
  token: null,
  userId: 'alice',
  ...changes,
});

test('who has the key is admitted, and is whom X-User-Id names, with groups unknown', async () => {
  const credentials = with_({ authorization: 'Bearer the-key' });
  assert.equal(await authenticator.admit(credentials), 'shared-key');
  assert.deepEqual(await authenticator.identify(credentials), {
    user: 'alice',
    groups: null,
    admittedBy: 'shared-key',
  });
});

test('the scheme is known in any case and with any spaces', async () => {
  for (const authorization of ['bearer the-key', 'BEARER the-key', 'Bearer   the-key', 'Bearer the-key  ']) {
    assert.equal(await authenticator.admit(with_({ authorization })), 'shared-key');
  }
});

test('spaces within it cost no more than other characters', async () => {
  const began = performance.now();
  const authorization = `Bearer a${' '.repeat(60_000)}b`;
  await assert.rejects(async () => authenticator.admit(with_({ authorization })), UnauthenticatedError);
  assert.ok(performance.now() - began < 500, `${performance.now() - began} ms`);
});

test("the token of a WebSocket's first frame counts before the header; an empty one leaves it to the header", async () => {
  assert.equal(await authenticator.admit(with_({ token: 'the-key' })), 'shared-key');
  assert.equal(
    await authenticator.admit(with_({ token: '', authorization: 'Bearer the-key' })),
    'shared-key',
  );
  const wrong = with_({ token: 'wrong', authorization: 'Bearer the-key' });
  await assert.rejects(async () => authenticator.admit(wrong), UnauthenticatedError);
});

const refused: readonly (readonly [what: string, credentials: Partial<Credentials>])[] = [
  ['nothing', {}],
  ['an empty header', { authorization: '' }],
  ['a scheme alone', { authorization: 'Bearer' }],
  ['a scheme and spaces', { authorization: 'Bearer    ' }],
  ['another scheme', { authorization: 'Basic the-key' }],
  ['a key without a scheme', { authorization: 'the-key' }],
  ['another key', { authorization: 'Bearer other' }],
  ['the beginning of the key', { authorization: 'Bearer the-ke' }],
  ['the key and more', { authorization: 'Bearer the-keyx' }],
  ['the key in other case', { authorization: 'Bearer THE-KEY' }],
  ['the key twice', { authorization: 'Bearer the-key, Bearer the-key' }],
  ['an empty token', { token: '' }],
  ['a key of a megabyte', { authorization: `Bearer ${'x'.repeat(1_000_000)}` }],
];
for (const [what, credentials] of refused) {
  test(`${what} is refused with a hint, and the hint holds no key`, async () => {
    for (const ask of [
      () => authenticator.admit(with_(credentials)),
      () => authenticator.identify(with_(credentials)),
    ]) {
      await assert.rejects(
        async () => ask(),
        (error) => {
          assert.ok(error instanceof UnauthenticatedError);
          assert.ok(error.hint.length > 0);
          assert.doesNotMatch(`${error.message} ${error.hint}`, /the-key/);
          return true;
        },
      );
    }
  });
}

test('a wrong key is refused before anything is said about the user', async () => {
  const credentials = with_({ authorization: 'Bearer wrong', userId: undefined });
  await assert.rejects(async () => authenticator.identify(credentials), UnauthenticatedError);
});

for (const make of [() => authenticator, () => new OpenAuthenticator()]) {
  const identify = async (userId: string | undefined) =>
    make().identify(with_({ userId, authorization: 'Bearer the-key' }));
  test(`${make().constructor.name}: a user is needed, and is taken as it came`, async () => {
    for (const userId of [undefined, '', '  ']) await assert.rejects(identify(userId), UserMissingError);
    await assert.rejects(identify('x'.repeat(513)), BadRequestError);
    for (const userId of ['x'.repeat(512), '../etc', 'Ä ö', '0']) {
      assert.equal((await identify(userId)).user, userId);
    }
  });
}

test('in open mode everybody is admitted, with a wrong key as without one', async () => {
  const open = new OpenAuthenticator();
  assert.equal(open.admit(), 'open');
  assert.deepEqual(open.identify(with_({ authorization: 'Bearer wrong' })), {
    user: 'alice',
    groups: null,
    admittedBy: 'open',
  });
});
