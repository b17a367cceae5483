import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import { authOf, key, load, root } from './fixtures.ts';

describe('--dev', () => {
  const dev = { dev: true };

  test('changes defaults: backend, host, policies, and a key is made', () => {
    const { config } = load({}, dev);
    assert.deepEqual(
      [config.backend, config.host, config.policiesDir],
      ['auto', '127.0.0.1', path.join(root, 'policies')],
    );
    assert.ok(config.auth.mode === 'key' && config.auth.made && authOf(config).length >= 32);
  });

  test('makes another key at every start', () => {
    assert.notEqual(authOf(load({}, dev).config), authOf(load({}, dev).config));
  });

  test('leaves alone what is set', () => {
    const env = { TERMINALS_BACKEND: 'docker', TERMINALS_HOST: '0.0.0.0', TERMINALS_API_KEY: key };
    const { config } = load(env, dev);
    assert.deepEqual([config.backend, config.host, authOf(config)], ['docker', '0.0.0.0', key]);
    assert.equal(config.auth.mode === 'key' && config.auth.made, false);
  });

  test('makes no key in open mode', () => {
    assert.deepEqual(load({ TERMINALS_AUTH: 'open' }, dev).config.auth, { mode: 'open' });
  });
});
