/**
 * `npm run generate`: the TypeScript type of a policy's spec, made from the JSON Schema.
 * A validated spec has every default filled in, so that a field with a default is required in the type.
 * @module
 */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { compile, type JSONSchema } from 'json-schema-to-typescript';
import { policySchema } from './schema.ts';

const target = fileURLToPath(new URL('./policy-spec.ts', import.meta.url));
const banner = '// Made from schemas/policy.schema.json by `npm run generate`; edit that, not this.\n';

type Node = Record<string, unknown>;

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The same schema with every defaulted property required and `default`, `examples` and lengths left out. */
function filledIn(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(filledIn);
  if (!isNode(value)) return value;
  const { properties, default: _default, examples: _examples, ...rest } = value;
  const result: Node = Object.fromEntries(Object.entries(rest).map(([name, part]) => [name, filledIn(part)]));
  if (isNode(properties)) {
    const defaulted = Object.entries(properties).filter(([, part]) => isNode(part) && 'default' in part);
    const required = Array.isArray(value.required) ? value.required : [];
    result.properties = Object.fromEntries(
      Object.entries(properties).map(([name, part]) => [name, filledIn(part)]),
    );
    result.required = [...required, ...defaulted.map(([name]) => name)];
  }
  return result;
}

/** The text of policy-spec.ts. */
export function generate(): Promise<string> {
  return specType(policySchema.$defs.spec, 'PolicySpec', banner);
}

/** The TypeScript type of what the schema describes once its defaults are filled in. */
export async function specType(schema: Node, name: string, bannerComment: string): Promise<string> {
  const text = await compile(filledIn(schema) as JSONSchema, name, {
    bannerComment,
    additionalProperties: false,
    style: { singleQuote: true, printWidth: 110 },
  });
  return text.replaceAll(/^( {2,})(\w+\??:)/gm, '$1readonly $2');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(target, await generate());
