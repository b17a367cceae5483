import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { generate, validatorCode } from '../../src/policy/generate.ts';

test('policy-spec.ts is what "npm run generate" would write now', async () => {
  const there = readFileSync(new URL('../../src/policy/policy-spec.ts', import.meta.url), 'utf8');
  assert.equal(there, await generate(), 'run "npm run generate" after changing schemas/policy.schema.json');
});

test('the code that checks a policy is that of the published schema', () => {
  const there = readFileSync(new URL('../../src/policy/policy-validator.ts', import.meta.url), 'utf8');
  assert.equal(there, validatorCode(), 'run "npm run generate" after changing schemas/policy.schema.json');
});
