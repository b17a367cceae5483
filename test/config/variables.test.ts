import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { variables } from '../../src/config.ts';
import { type Env, key, keyed, load, problemsOf } from './fixtures.ts';
import { rows } from './variable-rows.ts';

for (const variable of variables) {
  const { name } = variable;
  const secret = 'secret' in variable;
  const { field, whenUnset, good, bad } = rows[name];
  describe(name, () => {
    test('has its default when it is unset', () => {
      assert.deepEqual(field(keyed({}).config), whenUnset);
    });
    for (const [text, value] of good) {
      test(`takes ${JSON.stringify(text)}`, () =>
        assert.deepEqual(field(keyed({ [name]: text }).config), value));
    }
    for (const text of bad) {
      test(`refuses ${JSON.stringify(text)}, naming itself and what to write`, () => {
        const problems = problemsOf({ TERMINALS_API_KEY: key, [name]: text });
        assert.deepEqual(new Set(problems.map(({ variable }) => variable)), new Set([name]));
        for (const { value, message, hint } of problems) {
          assert.equal(value, secret ? null : text);
          assert.ok(message.length > 5 && hint.length > 5, `${message} ${hint}`);
        }
      });
    }
    test('is unset when it is empty', () => {
      const env: Env = name === 'TERMINALS_API_KEY' ? { TERMINALS_AUTH: 'open' } : { TERMINALS_API_KEY: key };
      assert.deepEqual(
        load({ ...env, [name]: '' }).config.auth.mode,
        name === 'TERMINALS_API_KEY' ? 'open' : 'key',
      );
      if (name !== 'TERMINALS_API_KEY')
        assert.deepEqual(field(load({ ...env, [name]: '' }).config), whenUnset);
    });
  });
}
