import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { Config } from '../../src/config.ts';
import { key, keyed, problemsOf } from './fixtures.ts';

describe('aliases', () => {
  for (const [alias, field] of [
    ['TERMINALS_DOCKER_NETWORK', ({ networks }: Config) => networks[0]],
    ['TERMINALS_DOCKER_DATA_DIR', ({ dataDir }: Config) => path.basename(dataDir)],
  ] as const) {
    const name = alias.replace('DOCKER_', '');

    test(`${alias} is read as ${name}, without a warning`, () => {
      const { config, warnings } = keyed({ [alias]: 'this-one' });
      assert.equal(field(config), 'this-one');
      assert.deepEqual(warnings, []);
    });

    test(`${alias} may say the same as ${name}`, () => {
      assert.equal(field(keyed({ [alias]: 'one', [name]: 'one' }).config), 'one');
    });

    test(`${alias} may not say something else than ${name}`, () => {
      const problems = problemsOf({ TERMINALS_API_KEY: key, [alias]: 'one', [name]: 'two' });
      assert.deepEqual(
        problems.map(({ variable, value }) => [variable, value]),
        [[alias, 'one']],
      );
      assert.ok(problems[0]?.message.includes(name));
    });
  }

  test('a bad value is reported by the name it was set by', () => {
    const [problem] = problemsOf({ TERMINALS_API_KEY: key, TERMINALS_DOCKER_NETWORK: 'a b' });
    assert.equal(problem?.variable, 'TERMINALS_DOCKER_NETWORK');
  });
});
