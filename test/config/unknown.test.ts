import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { keyed } from './fixtures.ts';

describe('unknown variables', () => {
  test('are a warning that says what was meant', () => {
    const { warnings } = keyed({
      TERMINALS_NETWROK: 'a',
      TERMINALS_ALLOWED_IMAGE: 'b',
      TERMINALS_ZZZZZZZZZZ: 'c',
    });
    assert.deepEqual(warnings, [
      'TERMINALS_NETWROK is not a known variable. Did you mean TERMINALS_NETWORK?',
      'TERMINALS_ALLOWED_IMAGE is not a known variable. Did you mean TERMINALS_ALLOWED_IMAGES?',
      'TERMINALS_ZZZZZZZZZZ is not a known variable.',
    ]);
  });

  test('are not shown with their value: one may be a mistyped key', () => {
    const { warnings } = keyed({ TERMINALS_API_KYE: 'hunter2' });
    assert.match(warnings.join(), /TERMINALS_API_KEY\?/);
    assert.doesNotMatch(warnings.join(), /hunter2/);
  });

  test('of other programs are none of our business', () => {
    assert.deepEqual(keyed({ TERMINAL: 'x', TERM: 'y', PORT: '1' }).warnings, []);
  });

  test('that Kubernetes sets for Services are no warning', () => {
    const env = {
      TERMINALS_SERVICE_HOST: '10.0.0.1',
      TERMINALS_SERVICE_PORT: '3000',
      TERMINALS_SERVICE_PORT_HTTP: '3000',
      TERMINALS_PORT_3000_TCP: 'tcp://10.0.0.1:3000',
      TERMINALS_PORT_3000_TCP_ADDR: '10.0.0.1',
      TERMINALS_DEFAULT_ALICE_PORT: 'tcp://10.0.0.2:8000',
      TERMINALS_DEFAULT_ALICE_SERVICE_HOST: '10.0.0.2',
    };
    assert.deepEqual(keyed(env).warnings, []);
  });

  test('TERMINALS_PORT as Kubernetes sets it for a Service named terminals is not read, with a warning', () => {
    const env = { TERMINALS_SERVICE_HOST: '10.0.0.1', TERMINALS_PORT: 'tcp://10.0.0.1:8000' };
    const { config, warnings } = keyed(env);
    assert.equal(config.port, 3000);
    assert.match(warnings.join(), /enableServiceLinks/);
  });

  test('for tests and tools beside the program are no warning', () => {
    const env = { TERMINALS_TEST_REQUIRE: 'docker', TERMINALS_TEST_PORT: '1', TERMINALS_TESTS: 'x' };
    assert.deepEqual(keyed(env).warnings, ['TERMINALS_TESTS is not a known variable.']);
  });
});
