import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { authOf, key, keyed, load, problemsOf } from './fixtures.ts';

describe('space around a value', () => {
  test('is left out of the key, with a warning that does not show it', () => {
    const { config, warnings } = load({ TERMINALS_API_KEY: ` ${key}\n` });
    assert.equal(authOf(config), key);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /^TERMINALS_API_KEY has space around/);
    assert.doesNotMatch(warnings.join(), /correct-horse/);
  });

  test('is left out of any other value, with a warning', () => {
    const { config, warnings } = keyed({ TERMINALS_PORT: ' 80 ' });
    assert.equal(config.port, 80);
    assert.match(warnings.join(), /^TERMINALS_PORT has space around/);
  });

  test('alone is no key: it is refused rather than taken for open mode', () => {
    const [problem] = problemsOf({ TERMINALS_API_KEY: '  ', TERMINALS_HOST: '127.0.0.1' });
    assert.equal(problem?.variable, 'TERMINALS_API_KEY');
  });
});
