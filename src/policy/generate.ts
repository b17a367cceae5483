/**
 * `npm run generate`: what is made from the JSON Schema of a policy: the TypeScript type of its spec, and the code that checks
 * one. A validated spec has every default filled in, so that a field with a default is required in the type.
 * @module
 */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import standaloneCode from 'ajv/dist/standalone/index.js';
import { compile, type JSONSchema } from 'json-schema-to-typescript';
import { policySchema } from './policy-schema.ts';

const targets = {
  spec: fileURLToPath(new URL('./policy-spec.ts', import.meta.url)),
  validator: fileURLToPath(new URL('./policy-validator.ts', import.meta.url)),
};
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

/** The text of policy-validator.ts: made here, since compiling the schema would be a fifth of every start. */
export function validatorCode(): string {
  const ajv = new Ajv2020({
    allErrors: true,
    useDefaults: true,
    strict: true,
    allowUnionTypes: true,
    verbose: true,
    code: { source: true, esm: true },
  });
  // A plain CommonJS default export, which TypeScript's nodenext resolution sees as the module itself.
  const codeOf = standaloneCode as unknown as typeof standaloneCode.default;
  const code = codeOf(ajv, ajv.compile(policySchema))
    .replace(/^"use strict";/, '')
    .replace(
      /const (\w+) = require\("ajv\/dist\/runtime\/ucs2length"\)\.default;/,
      (_found, name) => `const ${name} = ucs2length.default;`,
    );
  const ucs2length = "import ucs2length from 'ajv/dist/runtime/ucs2length.js';\n";
  return `${banner}// @ts-nocheck\n${ucs2length}${code}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(targets.spec, await generate());
  await writeFile(targets.validator, validatorCode());
}
