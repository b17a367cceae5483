import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { keyed, root } from './fixtures.ts';

test('policies in a ConfigMap go before a directory, which an image may bring along', () => {
  const policies = path.join(root, 'policies-beside');
  mkdirSync(policies);
  const { config } = keyed({
    TERMINALS_POLICIES_CONFIGMAP: 'policies',
    TERMINALS_POLICIES_DIR: policies,
  });
  assert.deepEqual([config.policiesConfigMap, config.policiesDir], ['policies', null]);
});

test('a directory that a flag names goes before a ConfigMap of the environment', () => {
  mkdirSync(path.join(root, 'by-flag'));
  const { config } = keyed(
    { TERMINALS_POLICIES_CONFIGMAP: 'policies' },
    { overrides: { TERMINALS_POLICIES_DIR: 'by-flag' } },
  );
  assert.deepEqual([config.policiesConfigMap, config.policiesDir], [null, path.join(root, 'by-flag')]);
});
