/** Our schemas against the meta-schema of their draft, which the program itself does not look at again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { adminRoutes } from '../src/admin/api.ts';
import { policySchema } from '../src/policy/policy-schema.ts';

const ajv = new Ajv2020();
const valid = (schema: object) => assert.ok(ajv.validateSchema(schema), ajv.errorsText());

test('the schema of a policy is a JSON Schema', () => valid(policySchema));

test('the schemas of the admin API are JSON Schemas', () => {
  const none = new Proxy({}, { get: () => ({}) }) as Parameters<typeof adminRoutes>[0];
  const routes = adminRoutes(none);
  assert.ok(routes.length > 10);
  for (const { body, query = {}, answers } of routes) {
    for (const schema of [body ?? {}, ...Object.values(query), ...Object.values(answers)]) valid(schema);
  }
});
