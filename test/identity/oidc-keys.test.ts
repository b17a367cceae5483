import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { IdentityUnavailableError, TokenRefusedError } from '../../src/errors.ts';
import { OidcMode, type OidcOptions } from '../../src/identity/oidc.ts';
import { audience, credentials, type Issuer, sent, serve, startIssuer, testClock } from './fixtures.ts';

const minute = 60_000;

async function setup(t: TestContext, options: Partial<OidcOptions> = {}) {
  const issuer = await startIssuer(t);
  const clock = testClock();
  const stale: string[] = [];
  const mode = new OidcMode({
    issuer: issuer.url,
    jwksUrl: null,
    audiences: [audience],
    cooldownMs: 0,
    now: clock.now,
    onStale: (error) => void stale.push(error.message),
    ...options,
  });
  const identify = async (token: string) => (await mode.identify(sent(token), credentials({}))).user;
  return { issuer, clock, stale, identify };
}

/** A token that no cache has seen, good for as long as a test lets pass. */
const fresh = (issuer: Issuer) =>
  issuer.token({ jti: crypto.randomUUID(), exp: Math.floor(Date.now() / 1000) + 3 * 86_400 });

test('a new key is found by the first token that names it, while others go on', async (t) => {
  const { issuer, identify } = await setup(t);
  const old = await fresh(issuer);
  await identify(old);
  await issuer.rotate('second');
  const tokens = await Promise.all(Array.from({ length: 20 }, () => fresh(issuer)));
  const users = await Promise.all([...tokens.map(identify), identify(old)]);
  assert.deepEqual(new Set(users), new Set(['alice']));
  assert.equal(issuer.hits.get('/keys'), 2, 'asked for once more');
});

test('tokens with unknown keys make the keys be asked for once in a while only', async (t) => {
  const { issuer, identify } = await setup(t, { cooldownMs: minute });
  await identify(await fresh(issuer));
  for (let index = 0; index < 20; index += 1) {
    await assert.rejects(identify(await issuer.token({}, { kid: `kid ${index}` })), TokenRefusedError);
  }
  assert.equal(issuer.hits.get('/keys'), 1);
});

test('a key that is withdrawn is not good any more once the keys are old', async (t) => {
  const { issuer, clock, identify } = await setup(t);
  await identify(await fresh(issuer));
  const withdrawn = issuer.key;
  await issuer.rotate('second');
  issuer.key = withdrawn;
  const forged = await fresh(issuer);
  clock.pass(21 * minute);
  await assert.rejects(identify(forged), TokenRefusedError);
});

test('while the provider is away the known keys go on, for new tokens, too', async (t) => {
  const { issuer, clock, stale, identify } = await setup(t);
  await identify(await fresh(issuer));
  issuer.down = true;
  for (let hour = 0; hour < 23; hour += 1) {
    clock.pass(60 * minute);
    assert.equal(await identify(await fresh(issuer)), 'alice');
  }
  assert.ok(stale.length > 0, 'and somebody is told');
});

test('an attempt that failed is not repeated at once', async (t) => {
  const { issuer, clock, identify } = await setup(t);
  await identify(await fresh(issuer));
  issuer.down = true;
  clock.pass(30 * minute);
  const before = issuer.hits.get('/.well-known/openid-configuration') ?? 0;
  for (let index = 0; index < 20; index += 1) await identify(await fresh(issuer));
  assert.equal(issuer.hits.get('/.well-known/openid-configuration'), before + 1);
});

test('keys of yesterday are not used any more', async (t) => {
  const { issuer, clock, identify } = await setup(t);
  await identify(await fresh(issuer));
  issuer.down = true;
  clock.pass(24 * 60 * minute);
  await assert.rejects(identify(await fresh(issuer)), IdentityUnavailableError);
});

test('once the provider is back, its new keys are good and the old ones are not', async (t) => {
  const { issuer, clock, identify } = await setup(t);
  const old = await fresh(issuer);
  await identify(old);
  issuer.down = true;
  clock.pass(60 * minute);
  await identify(await fresh(issuer));
  await issuer.rotate('second');
  issuer.down = false;
  clock.pass(60 * minute);
  assert.equal(await identify(await fresh(issuer)), 'alice');
  await assert.rejects(identify(old), TokenRefusedError);
});

test('a new key that can\u2019t be asked for is no reason to call the token bad', async (t) => {
  const { issuer, identify } = await setup(t);
  await identify(await fresh(issuer));
  await issuer.rotate('second');
  issuer.down = true;
  await assert.rejects(identify(await fresh(issuer)), IdentityUnavailableError);
});

test('an answer that is no key set does not take the place of the one that is', async (t) => {
  const { issuer, clock, identify } = await setup(t);
  await identify(await fresh(issuer));
  issuer.published = JSON.parse('[{"jwk":"x"}]');
  clock.pass(30 * minute);
  assert.equal(await identify(await fresh(issuer)), 'alice');
});

for (const [what, document] of [
  ['is about another issuer', (keys: string) => ({ issuer: 'https://elsewhere.example', jwks_uri: keys })],
  ['names no issuer', (keys: string) => ({ issuer: undefined, jwks_uri: keys })],
  ['names no keys', () => ({})],
  ['names keys that are not at a URL', () => ({ jwks_uri: 'keys' })],
  ['names keys in a file', () => ({ jwks_uri: 'file:///etc/passwd' })],
] as const) {
  test(`a discovery document that ${what} is not used`, async (t) => {
    const issuer = await startIssuer(t);
    const server = await serve(t, (_request, response) => {
      response.end(JSON.stringify({ issuer: server.url, ...document(`${issuer.url}/keys`) }));
    });
    const mode = new OidcMode({ issuer: server.url, jwksUrl: null, audiences: [audience] });
    const token = await issuer.token({ iss: server.url });
    await assert.rejects(mode.admit(sent(token)), IdentityUnavailableError);
  });
}

test('an endless key set is not read to its end', async (t) => {
  const issuer = await startIssuer(t);
  let sentBytes = 0;
  const server = await serve(t, (_request, response) => {
    const more = () => {
      while (!response.destroyed && sentBytes < 50_000_000) {
        sentBytes += 65_536;
        if (!response.write(Buffer.alloc(65_536, 32))) return void response.once('drain', more);
      }
      response.end();
    };
    more();
  });
  const mode = new OidcMode({ issuer: issuer.url, jwksUrl: `${server.url}/keys`, audiences: [audience] });
  await assert.rejects(mode.admit(sent(await issuer.token())), /more than 524288 bytes/);
  assert.ok(sentBytes < 50_000_000);
});

test('a provider that is silent is given up on', async (t) => {
  const issuer = await startIssuer(t);
  const server = await serve(t, () => undefined);
  const mode = new OidcMode({
    issuer: issuer.url,
    jwksUrl: `${server.url}/keys`,
    audiences: [audience],
    timeoutMs: 100,
  });
  await assert.rejects(mode.admit(sent(await issuer.token())), /no answer within 100 ms/);
});
