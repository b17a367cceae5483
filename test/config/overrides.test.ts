import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { authOf, key, keyed, load, problemsOf } from './fixtures.ts';

describe('overrides', () => {
  test('come before the variable, and before a problem in it', () => {
    assert.equal(keyed({ TERMINALS_PORT: 'bad' }, { overrides: { TERMINALS_PORT: '81' } }).config.port, 81);
  });

  test('come before an alias', () => {
    const { config } = keyed({ TERMINALS_DOCKER_NETWORK: 'a' }, { overrides: { TERMINALS_NETWORK: 'b' } });
    assert.deepEqual(config.networks, ['b']);
  });

  test('come before a file', () => {
    const { config } = load(
      { TERMINALS_API_KEY_FILE: '/nowhere' },
      { overrides: { TERMINALS_API_KEY: key } },
    );
    assert.equal(authOf(config), key);
  });

  test('are checked as the variable is', () => {
    const problems = problemsOf({ TERMINALS_API_KEY: key }, { overrides: { TERMINALS_PORT: 'x' } });
    assert.deepEqual(
      problems.map(({ variable, value }) => [variable, value]),
      [['TERMINALS_PORT', 'x']],
    );
  });
});
