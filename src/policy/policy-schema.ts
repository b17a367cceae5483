/** The published schema of a policy, as data. @module */
import { readFileSync } from 'node:fs';

type SchemaNode = Readonly<Record<string, unknown>>;

/** The published schema; the same relative place holds for the source and for the built package. */
export const policySchema: { readonly $defs: { readonly spec: SchemaNode } } & SchemaNode = JSON.parse(
  readFileSync(new URL('../../schemas/policy.schema.json', import.meta.url), 'utf8'),
);
