import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { keyed, root } from './fixtures.ts';

describe('the policies directory', () => {
  test('is ./policies where that is there', () => {
    const cwd = path.join(root, 'with-policies');
    mkdirSync(path.join(cwd, 'policies'), { recursive: true });
    const { config, warnings } = keyed({}, { cwd });
    assert.equal(config.policiesDir, path.join(cwd, 'policies'));
    assert.deepEqual(warnings, []);
  });

  test('stays set where it is missing, with a warning', () => {
    const { config, warnings } = keyed({ TERMINALS_POLICIES_DIR: 'later' });
    assert.equal(config.policiesDir, path.join(root, 'later'));
    assert.match(warnings.join(), /not there \(yet\)/);
  });
});
