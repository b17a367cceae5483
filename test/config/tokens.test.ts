import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { load, problemsOf, write } from './fixtures.ts';

const url = 'http://open-webui:8080';
const oidc = {
  TERMINALS_OIDC_ISSUER: 'https://idp.example.org/realm/',
  TERMINALS_OIDC_AUDIENCE: 'open-webui, other',
};

describe('tokens', () => {
  test('of Open WebUI need no shared key', () => {
    const { config } = load({ TERMINALS_OPEN_WEBUI_URL: url });
    assert.deepEqual(config.auth, { mode: 'key', keys: [], keyFile: null, made: false });
    assert.deepEqual(config.tokens.openWebUi, { url, secretKey: null, apiKey: null });
  });

  test('of an identity provider need no shared key', () => {
    const { config } = load(oidc);
    assert.equal(config.auth.mode, 'key');
    assert.deepEqual(config.tokens.oidc, {
      issuer: 'https://idp.example.org/realm',
      audiences: ['open-webui', 'other'],
      jwksUrl: null,
      algorithms: null,
      userClaim: 'sub',
      groupsClaim: 'groups',
      userIdFrom: 'claim',
    });
  });

  test('secrets of Open WebUI are read from files as well', () => {
    const file = write('secret-key', 'signed\n');
    const { config } = load({ TERMINALS_OPEN_WEBUI_URL: url, TERMINALS_OPEN_WEBUI_SECRET_KEY_FILE: file });
    assert.equal(config.tokens.openWebUi?.secretKey?.reveal(), 'signed');
  });

  const incomplete: readonly (readonly [env: Record<string, string>, missing: string])[] = [
    [{ TERMINALS_OPEN_WEBUI_SECRET_KEY: 's' }, 'TERMINALS_OPEN_WEBUI_URL'],
    [{ TERMINALS_OPEN_WEBUI_API_KEY: 'sk-1' }, 'TERMINALS_OPEN_WEBUI_URL'],
    [{ TERMINALS_OIDC_ISSUER: 'https://idp.example.org' }, 'TERMINALS_OIDC_AUDIENCE'],
    [{ TERMINALS_OIDC_AUDIENCE: 'a' }, 'TERMINALS_OIDC_ISSUER'],
    [{ TERMINALS_OIDC_JWKS_URL: 'https://idp.example.org/keys' }, 'TERMINALS_OIDC_ISSUER'],
  ];
  for (const [env, missing] of incomplete) {
    const [name = ''] = Object.keys(env);
    test(`${name} without ${missing} is a problem that says so`, () => {
      const problems = problemsOf({ TERMINALS_API_KEY: 'key', ...env });
      assert.deepEqual(
        problems.map(({ variable, message }) => [variable, message]),
        [[name, `it needs ${missing} as well.`]],
      );
    });
  }

  test('and an open door contradict each other', () => {
    const [problem] = problemsOf({ ...oidc, TERMINALS_AUTH: 'open' });
    assert.equal(problem?.variable, 'TERMINALS_AUTH');
  });
});
