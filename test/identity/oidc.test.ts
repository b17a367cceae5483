import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { SignJWT } from 'jose';
import { IdentityUnavailableError, TokenRefusedError, UserMissingError } from '../../src/errors.ts';
import { OidcMode, type OidcOptions } from '../../src/identity/oidc.ts';
import { audience, credentials, type Issuer, nowSeconds, sent, startIssuer, testClock } from './fixtures.ts';

async function setup(t: TestContext, options: Partial<OidcOptions> = {}) {
  const issuer = await startIssuer(t);
  const clock = testClock();
  const mode = modeOf(issuer, { now: clock.now, ...options });
  const identify = async (token: string, userId?: string) =>
    mode.identify(sent(token), credentials({ userId }));
  return { issuer, clock, mode, identify };
}

function modeOf(issuer: Issuer, options: Partial<OidcOptions> = {}): OidcMode {
  // No cooldown, so that the second rotation of a test need not wait for it.
  return new OidcMode({
    issuer: issuer.url,
    jwksUrl: null,
    audiences: [audience],
    cooldownMs: 0,
    ...options,
  });
}

const refusedFor = (reason: string) => (error: unknown) => {
  assert.ok(error instanceof TokenRefusedError, String(error));
  assert.equal(error.reason, reason);
  return true;
};

test('a good access token says who calls, and the groups', async (t) => {
  const { issuer, identify, mode } = await setup(t);
  const token = await issuer.token({ groups: ['data', 'web'] });
  assert.deepEqual(await identify(token), {
    user: 'alice',
    groups: [
      { id: null, name: 'data' },
      { id: null, name: 'web' },
    ],
    admittedBy: 'oidc',
  });
  assert.equal(await mode.admit(sent(token)), 'oidc');
});

test('X-User-Id is not believed: the user is the token\u2019s', async (t) => {
  const { issuer, identify } = await setup(t);
  assert.equal((await identify(await issuer.token(), 'bob')).user, 'alice');
});

test('where the header is to be believed, it names the user, and the token\u2019s stands beside it', async (t) => {
  const { issuer, identify } = await setup(t, { userIdFrom: 'header' });
  const token = await issuer.token();
  const { user, subject } = await identify(token, 'bob');
  assert.deepEqual([user, subject], ['bob', 'alice']);
  await assert.rejects(async () => identify(token), UserMissingError);
});

test('the user can be another claim, by name, path or pointer', async (t) => {
  for (const [userClaim, claims] of [
    ['preferred_username', { preferred_username: 'al' }],
    ['https://example.com/id', { 'https://example.com/id': 'al' }],
    ['/ext/id', { ext: { id: 'al' } }],
  ] as const) {
    const { issuer, identify } = await setup(t, { userClaim });
    assert.equal((await identify(await issuer.token(claims))).user, 'al');
  }
});

test('a token whose user claim is no id is refused', async (t) => {
  const { issuer, identify } = await setup(t, { userClaim: 'uid' });
  for (const uid of [undefined, '', ' ', 7, ['x'], 'a\u0000b', 'x'.repeat(513)]) {
    await assert.rejects(identify(await issuer.token({ uid })), refusedFor('claim'));
  }
});

test('an audience among several, an issuer with a slash at its end, and every taken type are good', async (t) => {
  const { issuer, identify } = await setup(t, { audiences: ['another', audience] });
  await identify(await issuer.token({ aud: ['x', audience] }));
  await identify(await issuer.token({ iss: `${issuer.url}/` }));
  for (const typ of ['at+jwt', 'application/at+jwt', 'AT+JWT', 'JWT']) {
    await identify(await issuer.token({ jti: typ }, { typ }));
  }
  const untyped = new SignJWT({ iss: issuer.url, aud: audience, sub: 'alice', exp: nowSeconds() + 60 });
  await identify(await untyped.setProtectedHeader({ alg: 'ES256' }).sign(issuer.key.privateKey));
});

test('times are checked with a minute of tolerance', async (t) => {
  const { issuer, identify } = await setup(t);
  const now = nowSeconds();
  await identify(await issuer.token({ exp: now - 50 }));
  await identify(await issuer.token({ nbf: now + 50 }));
  await assert.rejects(identify(await issuer.token({ exp: now - 70 })), refusedFor('expired'));
  await assert.rejects(identify(await issuer.token({ nbf: now + 80 })), refusedFor('not-yet-valid'));
});

test('a verified token is not verified again until its time or its end', async (t) => {
  const { issuer, clock, mode } = await setup(t);
  const token = sent(await issuer.token({ exp: nowSeconds() + 30 }));
  await mode.identify(token, credentials({}));
  assert.ok(!(mode.identify(token, credentials({})) instanceof Promise), 'answered at once');
  clock.pass(60_001);
  const again = mode.identify(token, credentials({}));
  assert.ok(again instanceof Promise, 'its time in the cache is over');
  await again;
  clock.pass(31_000);
  await assert.rejects(async () => mode.identify(token, credentials({})), refusedFor('expired'));
});

test('who waits for the keys waits for one question', async (t) => {
  const { issuer, identify } = await setup(t);
  const tokens = await Promise.all(
    Array.from({ length: 50 }, (_, index) => issuer.token({ sub: `user ${index}` })),
  );
  const users = await Promise.all(tokens.map(async (token) => (await identify(token)).user));
  assert.equal(new Set(users).size, 50);
  assert.equal(issuer.hits.get('/keys'), 1);
  assert.equal(issuer.hits.get('/.well-known/openid-configuration'), 1);
});

test('a token is told by its issuer, whether it is a good one or not', async (t) => {
  const { issuer, mode } = await setup(t);
  assert.ok(mode.recognises(sent(await issuer.token({ exp: 1 }))));
  assert.ok(!mode.recognises(sent(await issuer.token({ iss: 'https://elsewhere.example' }))));
  for (const other of ['x', 'a.b.c', `a.${btoa('[1]')}.c`, 'sk-1', '..'])
    assert.ok(!mode.recognises(sent(other)));
});

test('a key set at a URL of its own needs no discovery', async (t) => {
  const issuer = await startIssuer(t);
  const mode = modeOf(issuer, { jwksUrl: `${issuer.url}/keys` });
  await mode.admit(sent(await issuer.token()));
  assert.equal(issuer.hits.get('/.well-known/openid-configuration'), undefined);
});

test('a provider that does not answer is told apart from a bad token', async (t) => {
  const { issuer, identify } = await setup(t);
  issuer.down = true;
  await assert.rejects(identify(await issuer.token()), (error) => {
    assert.ok(error instanceof IdentityUnavailableError);
    assert.equal(error.status, 503);
    return true;
  });
});

test('only algorithms with a public key can be configured, and an audience must be', async (t) => {
  const issuer = await startIssuer(t);
  for (const algorithms of [['HS256'], ['RS256', 'HS512'], ['none']]) {
    assert.throws(() => modeOf(issuer, { algorithms }), RangeError);
  }
  assert.throws(() => modeOf(issuer, { audiences: [] }), RangeError);
});

test('an algorithm that is not configured is refused', async (t) => {
  const { issuer, identify } = await setup(t, { algorithms: ['RS256'] });
  await assert.rejects(identify(await issuer.token()), refusedFor('algorithm'));
});
