import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { TokenRefusedError, UnauthenticatedError } from '../../src/errors.ts';
import { CombinedAuthenticator } from '../../src/identity/combined.ts';
import { SharedKeys } from '../../src/identity/keys.ts';
import { OidcMode } from '../../src/identity/oidc.ts';
import { OpenWebUiMode } from '../../src/identity/open-webui.ts';
import { OpenWebUiApi } from '../../src/identity/open-webui-api.ts';
import { SharedKeyMode } from '../../src/identity/shared-key.ts';
import { addUser, audience, credentials, startIssuer, startOpenWebUi } from './fixtures.ts';

async function setup(t: TestContext) {
  const issuer = await startIssuer(t);
  const openWebUi = await startOpenWebUi(t);
  addUser(openWebUi, 'bob', ['web']);
  const oidc = new OidcMode({ issuer: issuer.url, jwksUrl: null, audiences: [audience] });
  const session = new OpenWebUiMode({
    api: new OpenWebUiApi({ url: openWebUi.url }),
    secret: null,
    ttlMs: 60_000,
    staleMs: 0,
    max: 10,
  });
  const shared = new SharedKeyMode({ keys: new SharedKeys(['key']), forwardedJwt: null, groups: null });
  const authenticator = new CombinedAuthenticator([shared, oidc, session]);
  const identify = async (token: string, userId?: string) =>
    authenticator.identify(credentials({ authorization: `Bearer ${token}`, userId }));
  return { issuer, openWebUi, authenticator, identify, oidc, session };
}

test('each token is taken to whom it was meant for, and the identity says who admitted it', async (t) => {
  const { issuer, openWebUi, authenticator, identify } = await setup(t);
  for (const [token, user, admittedBy] of [
    ['key', 'carol', 'shared-key'],
    [await issuer.token(), 'alice', 'oidc'],
    [await openWebUi.token('bob'), 'bob', 'open-webui'],
  ] as const) {
    const identity = await identify(token, user);
    assert.deepEqual([identity.user, identity.admittedBy], [user, admittedBy]);
    assert.equal(await authenticator.admit(credentials({ token })), admittedBy);
  }
});

test('a token that its own mode refuses is not tried elsewhere', async (t) => {
  const { issuer, openWebUi, identify } = await setup(t);
  await assert.rejects(identify(await issuer.token({ exp: 1 })), /has expired/);
  assert.equal(openWebUi.hits.size, 0, 'Open WebUI never sees the provider\u2019s tokens');
  openWebUi.users.clear();
  await assert.rejects(identify(await openWebUi.token('bob')), /Open WebUI does not accept/);
  assert.equal(issuer.hits.get('/keys'), 1, 'nor the provider Open WebUI\u2019s');
});

test('what no mode recognises is refused by the one that says best why, and asks nobody', async (t) => {
  const { issuer, openWebUi, identify } = await setup(t);
  await assert.rejects(identify('a-mistyped-key'), /The key is not the one/);
  await assert.rejects(identify(await issuer.token({ iss: 'https://elsewhere.example' })), (error) => {
    assert.ok(error instanceof TokenRefusedError);
    assert.equal(error.reason, 'issuer');
    return true;
  });
  assert.equal(openWebUi.hits.size, 0);
});

test('who sends nothing is told every way there is', async (t) => {
  const { authenticator } = await setup(t);
  assert.throws(
    () => authenticator.admit(credentials({ userId: 'alice' })),
    (error) => {
      assert.ok(error instanceof UnauthenticatedError);
      assert.match(error.hint, /TERMINALS_API_KEY.+ Or: .+access token.+ Or: .+signed-in user/);
      return true;
    },
  );
});

test('with only a provider, a token that is no JWT is explained', async (t) => {
  const { oidc } = await setup(t);
  const authenticator = new CombinedAuthenticator([oidc]);
  const opaque = credentials({ authorization: 'Bearer ya29.opaque' });
  await assert.rejects(async () => authenticator.identify(opaque), /is not a JWT/);
});

test('without any mode there is no authenticator', () => {
  assert.throws(() => new CombinedAuthenticator([]), RangeError);
});
