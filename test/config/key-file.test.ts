import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { formatProblem } from '../../src/config.ts';
import { authOf, type Env, key, load, problemsOf, root, write } from './fixtures.ts';

describe('a key in a file', () => {
  const load_ = (file: string, env: Env = {}) => load({ TERMINALS_API_KEY_FILE: file, ...env });

  test('is read without the line feed at its end', () => {
    const { config, warnings } = load_(write('key', `${key}\n`));
    assert.equal(authOf(config), key);
    assert.deepEqual(warnings, []);
  });

  test('may be named relative to the working directory', () => {
    write('key-beside', key);
    assert.equal(authOf(load_('key-beside').config), key);
  });

  test('counts as a key where TERMINALS_AUTH is open', () => {
    const [problem] = problemsOf({ TERMINALS_API_KEY_FILE: write('key', key), TERMINALS_AUTH: 'open' });
    assert.equal(problem?.variable, 'TERMINALS_AUTH');
  });

  test('is not read where the variable is empty', () => {
    assert.equal(load_('', { TERMINALS_API_KEY: key }).config.auth.mode, 'key');
  });

  const wrong: readonly (readonly [what: string, file: string, message: RegExp])[] = [
    ['missing', path.join(root, 'nowhere'), /can't be read \(ENOENT\)/],
    ['empty', write('empty', ''), /empty/],
    ['blank', write('blank', ' \n\n'), /empty/],
    ['a directory', root, /not a file/],
    ['far too large', write('large', 'x'.repeat(100_000)), /too large/],
  ];
  for (const [what, file, message] of wrong) {
    test(`that is ${what} is a problem`, () => {
      const problems = problemsOf({ TERMINALS_API_KEY_FILE: file });
      assert.equal(problems.length, 1);
      assert.equal(problems[0]?.variable, 'TERMINALS_API_KEY_FILE');
      assert.equal(problems[0]?.value, file);
      assert.match(problems[0]?.message ?? '', message);
    });
  }

  const canReadAll = process.getuid?.() === 0;
  test('that may not be read is a problem', { skip: canReadAll && 'root may read every file' }, () => {
    const file = write('locked', key);
    chmodSync(file, 0);
    assert.match(problemsOf({ TERMINALS_API_KEY_FILE: file })[0]?.message ?? '', /EACCES/);
  });

  test('with two lines is two keys, the file to be watched for others', () => {
    const file = write('two-lines', 'first\nsecond\n');
    const { config } = load_(file);
    assert.equal(authOf(config), 'first,second');
    assert.equal(config.auth.mode === 'key' && config.auth.keyFile, file);
  });

  test('with a word too many in a line is a problem that shows nothing of it', () => {
    const problems = problemsOf({ TERMINALS_API_KEY_FILE: write('words', 'first-part second-part\n') });
    assert.equal(problems.length, 1);
    assert.doesNotMatch(
      JSON.stringify(problems) + problems.map(formatProblem).join(),
      /first-part|second-part/,
    );
  });

  test('beside the key itself is a problem', () => {
    const problems = problemsOf({ TERMINALS_API_KEY_FILE: write('key', 'other'), TERMINALS_API_KEY: key });
    assert.equal(problems.length, 1);
    assert.match(problems[0]?.message ?? '', /TERMINALS_API_KEY is set as well/);
  });
});
