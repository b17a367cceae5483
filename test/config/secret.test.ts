import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { formatProblem, Secret } from '../../src/config.ts';
import { key, keyed, problemsOf } from './fixtures.ts';

test('a key shows in no form of the Config but reveal()', () => {
  const { config } = keyed({});
  const shown = [
    inspect(config, { depth: null, showHidden: true }),
    JSON.stringify(config),
    `${new Secret(key)}`,
  ];
  for (const text of shown) {
    assert.doesNotMatch(text, /correct-horse/);
    assert.match(text, /\[secret\]/);
  }
});

test('a key shows in no problem and no warning', () => {
  const env = { TERMINALS_API_KEY: ` ${key} and more `, TERMINALS_AUTH: 'open', TERMINALS_FOO: key };
  const problems = problemsOf(env);
  assert.doesNotMatch(JSON.stringify(problems) + problems.map(formatProblem).join(), /correct-horse/);
});
