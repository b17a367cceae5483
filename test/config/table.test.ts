import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { variables, variablesTable } from '../../src/config.ts';
import { rows } from './variable-rows.ts';

test('the README has exactly the table of variables', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const [, table] = /<!-- variables -->\n+([\s\S]*?)\n+<!-- \/variables -->/.exec(readme) ?? [];
  assert.equal(table, variablesTable());
});

test('the table has a row for every variable, its aliases and the file of its secret', () => {
  const table = variablesTable();
  for (const name of [
    ...Object.keys(rows),
    'TERMINALS_DOCKER_NETWORK',
    'TERMINALS_DOCKER_DATA_DIR',
    'TERMINALS_API_KEY_FILE',
  ]) {
    assert.ok(table.includes(`\`${name}\``), name);
  }
  assert.equal(table.split('\n').length, variables.length + 2);
});
