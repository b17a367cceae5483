import assert from 'node:assert/strict';
import { createHmac, KeyObject, sign } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { CompactSign, exportJWK, exportSPKI, generateKeyPair, importJWK, SignJWT } from 'jose';
import { TokenRefusedError, UnauthenticatedError } from '../../src/errors.ts';
import { CombinedAuthenticator } from '../../src/identity/combined.ts';
import { OidcMode } from '../../src/identity/oidc.ts';
import { audience, credentials, type Issuer, nowSeconds, serve, startIssuer } from './fixtures.ts';

async function setup(t: TestContext, alg = 'RS256') {
  const issuer = await startIssuer(t, alg);
  const mode = new OidcMode({ issuer: issuer.url, jwksUrl: null, audiences: [audience] });
  const authenticator = new CombinedAuthenticator([mode]);
  const identify = async (token: string) =>
    authenticator.identify(credentials({ authorization: `Bearer ${token}` }));
  // The keys are known, so that nothing is refused just for want of them.
  assert.equal((await identify(await issuer.token())).user, 'alice');
  const refuses = (token: string, reason: string) =>
    assert.rejects(identify(token), (error) => {
      assert.ok(error instanceof TokenRefusedError, String(error));
      assert.equal(error.reason, reason, error.message);
      assert.ok(error instanceof UnauthenticatedError && error.status === 401);
      assert.ok(!`${error.message}${error.hint}`.includes(token.slice(0, 30)), 'the token is not shown');
      return true;
    });
  return { issuer, identify, refuses };
}

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token made by hand, as an attacker does who has no library in the way. */
function handmade(header: object, claims: object | string, signature = ''): string {
  const payload = typeof claims === 'string' ? Buffer.from(claims).toString('base64url') : encoded(claims);
  return `${encoded(header)}.${payload}.${signature}`;
}

const claimsFor = (issuer: Issuer) => ({
  iss: issuer.url,
  aud: audience,
  sub: 'admin',
  exp: nowSeconds() + 300,
});

test('a token that is not signed is refused, however it spells that', async (t) => {
  const { issuer, refuses } = await setup(t);
  for (const alg of ['none', 'None', 'NONE', 'nOnE']) {
    await refuses(handmade({ alg, typ: 'JWT' }, claimsFor(issuer)), 'algorithm');
    await refuses(handmade({ alg, kid: 'first' }, claimsFor(issuer), 'AAAA'), 'algorithm');
  }
  await refuses(handmade({ alg: '' }, claimsFor(issuer)), 'malformed');
  await refuses(handmade({}, claimsFor(issuer)), 'malformed');
});

test('a token signed with the public key as if it were a shared secret is refused', async (t) => {
  const { issuer, refuses } = await setup(t);
  const key = await importJWK(issuer.key.jwk, 'RS256', { extractable: true });
  assert.ok(!(key instanceof Uint8Array));
  for (const secret of [await exportSPKI(key), JSON.stringify(issuer.key.jwk), String(issuer.key.jwk.n)]) {
    for (const header of [{ alg: 'HS256', kid: 'first' }, { alg: 'HS256' }]) {
      const signed = `${encoded(header)}.${encoded(claimsFor(issuer))}`;
      const signature = createHmac('sha256', secret).update(signed).digest('base64url');
      await refuses(`${signed}.${signature}`, 'algorithm');
    }
  }
});

test('a key id that is a path, a query or a URL finds no key', async (t) => {
  const { issuer, refuses } = await setup(t);
  for (const kid of [
    '../../../../dev/null',
    '/etc/passwd',
    "x' UNION SELECT 'k",
    'http://127.0.0.1:1/k',
    '__proto__',
    '',
  ]) {
    await refuses(await issuer.token({}, { kid }), 'key-unknown');
  }
});

test('a key that comes with the token is not used', async (t) => {
  const { issuer, refuses } = await setup(t);
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'mine', alg: 'RS256', use: 'sig' };
  const attacker = await serve(t, (_request, response) => response.end(JSON.stringify({ keys: [jwk] })));
  const signed = (header: object) =>
    new SignJWT(claimsFor(issuer)).setProtectedHeader({ alg: 'RS256', ...header }).sign(privateKey);

  await refuses(await signed({ kid: 'mine', jwk }), 'key-unknown');
  await refuses(await signed({ kid: 'mine', jku: `${attacker.url}/keys` }), 'key-unknown');
  await refuses(await signed({ kid: 'mine', x5u: `${attacker.url}/cert` }), 'key-unknown');
  await refuses(await signed({ kid: 'first', jwk, jku: `${attacker.url}/keys` }), 'signature');
  assert.equal(attacker.hits.size, 0, 'nobody was asked');
});

test('a token whose claims or signature were changed is refused', async (t) => {
  const { issuer, refuses } = await setup(t);
  const [header, , signature] = (await issuer.token()).split('.');
  await refuses(`${header}.${encoded(claimsFor(issuer))}.${signature}`, 'signature');
  const good = await issuer.token();
  await refuses(`${good.slice(0, -20)}${'A'.repeat(20)}`, 'signature');
  await refuses(good.slice(0, good.lastIndexOf('.') + 1), 'signature');
});

test('a token of another issuer, for another audience, past or before its time, or without an end is refused', async (t) => {
  const { issuer, refuses } = await setup(t);
  const now = nowSeconds();
  await refuses(await issuer.token({ iss: 'https://elsewhere.example' }), 'issuer');
  await refuses(await issuer.token({ iss: `${issuer.url}.evil.example` }), 'issuer');
  await refuses(await issuer.token({ aud: 'account' }), 'audience');
  await refuses(await issuer.token({ aud: [] }), 'audience');
  await refuses(await issuer.token({ exp: now - 3600 }), 'expired');
  await refuses(await issuer.token({ nbf: now + 3600 }), 'not-yet-valid');
  const { exp: _exp, ...endless } = claimsFor(issuer);
  const signed = (claims: object) =>
    new SignJWT({ ...claims }).setProtectedHeader({ alg: 'RS256', kid: 'first' }).sign(issuer.key.privateKey);
  await refuses(await signed(endless), 'claim');
  await refuses(await signed({ ...endless, exp: '9999999999' }), 'claim');
  const { aud: _aud, ...forNobody } = claimsFor(issuer);
  await refuses(await signed(forNobody), 'claim');
});

test('a critical header that is not understood is refused, however well it is signed', async (t) => {
  const { issuer, identify, refuses } = await setup(t);
  const signed = (header: object) => {
    const unsigned = handmade({ alg: 'RS256', kid: 'first', ...header }, claimsFor(issuer)).slice(0, -1);
    const key = KeyObject.from(issuer.key.privateKey);
    return `${unsigned}.${sign('sha256', Buffer.from(unsigned), key).toString('base64url')}`;
  };
  assert.equal((await identify(signed({}))).user, 'admin', 'the signature is good');
  await refuses(signed({ crit: ['urn:example:unknown'], 'urn:example:unknown': true }), 'critical');
  await refuses(signed({ crit: ['exp'], exp: 1 }), 'critical');
  await refuses(signed({ crit: [] }), 'malformed');
  await refuses(signed({ crit: 'x' }), 'malformed');
});

test('a token of another kind is refused', async (t) => {
  const { issuer, refuses } = await setup(t);
  for (const typ of ['logout+jwt', 'id+jwt', 'application/dpop+jwt', 'secevent+jwt', 'x', '']) {
    await refuses(await issuer.token({ jti: typ }, { typ }), 'type');
  }
});

test('a huge token is refused before it is looked into', async (t) => {
  const { issuer, refuses } = await setup(t);
  await refuses(await issuer.token({ fill: 'x'.repeat(16 * 1024) }), 'too-large');
  await refuses('x'.repeat(1024 * 1024), 'too-large');
});

test('deeply nested JSON is refused in no time', async (t) => {
  const { issuer, refuses } = await setup(t);
  const deep = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth);
  const began = performance.now();
  await refuses(handmade({ alg: 'RS256' }, deep('[', ']', 5_900)), 'malformed');
  await refuses(
    handmade(
      { alg: 'RS256', kid: 'first' },
      `{"iss":"${issuer.url}","groups":${deep('[', ']', 5_800)}}`,
      'AAAA',
    ),
    'signature',
  );
  await refuses(
    handmade({ alg: 'RS256', kid: 'first' }, `${'{"a":'.repeat(1_900)}1${'}'.repeat(1_900)}`, 'AAAA'),
    'signature',
  );
  assert.ok(performance.now() - began < 2_000);
});

test('groups nested deeply in a signed token are none', async (t) => {
  const { issuer, identify } = await setup(t);
  let groups: unknown = 'data';
  for (let depth = 0; depth < 2_000; depth += 1) groups = [groups];
  assert.deepEqual((await identify(await issuer.token({ groups }))).groups, []);
});

test('what is no token at all is refused', async (t) => {
  const { refuses } = await setup(t);
  for (const token of [
    'x',
    'a.b',
    'a.b.c',
    '...',
    'a.b.c.d.e',
    '\u00e9.\u00e9.\u00e9',
    `${encoded({ alg: 'RS256' })}..`,
  ]) {
    await refuses(token, 'malformed');
  }
});

test('claims that carry names of every object change nothing', async (t) => {
  const { issuer, identify } = await setup(t);
  const claims = `{"iss":"${issuer.url}","aud":"${audience}","sub":"alice","exp":${nowSeconds() + 300},"__proto__":{"groups":["admins"]}}`;
  const token = await new CompactSign(new TextEncoder().encode(claims))
    .setProtectedHeader({ alg: 'RS256', kid: 'first' })
    .sign(issuer.key.privateKey);
  assert.deepEqual((await identify(token)).groups, []);
});
