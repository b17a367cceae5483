import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isLoopback } from '../../src/config.ts';
import { key, load, problemsOf } from './fixtures.ts';

describe('who is let in', () => {
  for (const host of [
    '127.0.0.1',
    '127.8.9.1',
    '::1',
    '0:0:0:0:0:0:0:1',
    '::ffff:127.0.0.1',
    'localhost',
    'LocalHost',
  ]) {
    test(`everybody on ${host} without a key, with a warning`, () => {
      const { config, warnings } = load({ TERMINALS_HOST: host });
      assert.deepEqual(config.auth, { mode: 'open' });
      assert.match(warnings.join(), /No key is set/);
    });
  }

  for (const host of [
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '128.0.0.1',
    '::ffff:10.0.0.1',
    'example.org',
    'localhost.example.org',
  ]) {
    test(`nobody on ${host} without a key or a word`, () => {
      assert.equal(isLoopback(host), false);
      const problems = problemsOf({ TERMINALS_HOST: host });
      assert.deepEqual(
        problems.map(({ variable }) => variable),
        ['TERMINALS_API_KEY'],
      );
      assert.match(problems[0]?.hint ?? '', /TERMINALS_AUTH=open/);
    });
  }

  test('everybody beyond loopback where TERMINALS_AUTH=open says so, with a warning', () => {
    const { config, warnings } = load({ TERMINALS_AUTH: 'open' });
    assert.deepEqual(config.auth, { mode: 'open' });
    assert.match(warnings.join(), /everybody who reaches 0\.0\.0\.0/);
  });

  test('nobody yet where a key and TERMINALS_AUTH=open contradict each other', () => {
    const [problem] = problemsOf({ TERMINALS_AUTH: 'open', TERMINALS_API_KEY: key });
    assert.equal(problem?.variable, 'TERMINALS_AUTH');
  });

  test('nobody yet where TERMINALS_AUTH=key asks for a key that is not there, on loopback too', () => {
    const [problem] = problemsOf({ TERMINALS_AUTH: 'key', TERMINALS_HOST: '127.0.0.1' });
    assert.equal(problem?.variable, 'TERMINALS_API_KEY');
  });

  test('a host that can not be read leads to one problem, not to one about the key', () => {
    assert.deepEqual(
      problemsOf({ TERMINALS_HOST: '[::1]' }).map(({ variable }) => variable),
      ['TERMINALS_HOST'],
    );
  });
});
