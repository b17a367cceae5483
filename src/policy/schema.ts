/**
 * Structure: a document against `schemas/policy.schema.json`, and what is wrong in words.
 * @module
 */
import type { ErrorObject, ValidateFunction } from 'ajv';
import { closest } from '../closest.ts';
import { isMap } from '../json.ts';
import type { PolicyDefaults } from './policy.ts';
import type { PolicySpec } from './policy-spec.ts';
import generated from './policy-validator.ts';

/** A policy document whose structure was checked and whose defaults are filled in. */
export interface PolicyDocument {
  readonly metadata: { readonly name: string };
  readonly spec: PolicySpec;
}

/** What is wrong at one place of a document. */
export interface StructureError {
  /** The way to it: names of fields and indexes of lists. */
  readonly path: readonly (string | number)[];
  /** The field itself stands there under a wrong name, so that its name rather than its value is the place. */
  readonly atName: boolean;
  readonly message: string;
  readonly hint: string;
}

/** Made by Ajv from the schema, whose form the type states. */
const validate = generated as ValidateFunction<PolicyDocument>;

/**
 * Checks a parsed document and fills in the schema's defaults, in a copy.
 * @param spec defaults that come before the schema's own, e.g. the image of TERMINALS_IMAGE
 */
export function checkStructure(
  document: unknown,
  spec: PolicyDefaults,
):
  | { readonly ok: true; readonly document: PolicyDocument }
  | { readonly ok: false; readonly errors: readonly StructureError[] } {
  const copy = structuredClone(document);
  if (isMap(copy)) {
    copy.spec ??= {};
    if (isMap(copy.spec)) fillIn(copy.spec, { ...spec });
  }
  if (validate(copy)) return { ok: true, document: copy };
  // A bad name of a variable is said once, by `propertyNames`, not again by the pattern that it broke; so is an empty text.
  const errors = (validate.errors ?? []).filter(
    ({ propertyName, keyword, data, parentSchema }) =>
      propertyName === undefined &&
      keyword !== 'if' &&
      !(keyword === 'pattern' && data === '' && parentSchema?.minLength === 1),
  );
  return { ok: false, errors: errors.map(explain) };
}

/** Field by field, also within maps. */
function fillIn(fields: Record<string, unknown>, defaults: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(defaults)) {
    const own = fields[name];
    if (isMap(own) && isMap(value)) fillIn(own, value);
    else fields[name] ??= structuredClone(value);
  }
}

/** Of these the values are private, or may hold some that are: problems are said in logs, and on pull requests. */
const privateFields = /^\/spec\/(?:env|secretEnv|podTemplate)(?:\/|$)/;

function explain(error: ErrorObject): StructureError {
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  const at = (
    message: string,
    hint: string,
    more: readonly string[] = [],
    atName = false,
  ): StructureError => ({
    path: [...path, ...more],
    atName,
    message,
    hint,
  });
  const hidden = privateFields.test(error.instancePath);
  const value = hidden ? 'this' : show(error.data);
  switch (error.keyword) {
    case 'additionalProperties':
      return unknownField(error, at);
    case 'required': {
      const name = String(error.params.missingProperty);
      return at(`the field "${name}" is missing`, example(error, name));
    }
    case 'type':
      return at(
        `this is ${typeName(error.data, hidden)}, not ${expected(error.params.type)}`,
        writeInstead(error),
      );
    case 'enum':
      return at(`${value} is not one of its values`, `write ${list(error.params.allowedValues)}`);
    case 'const':
      return at(`${value} is not known here`, `write ${show(error.params.allowedValue)}`);
    case 'propertyNames':
      return at(
        `"${error.params.propertyName}" is not a name of a variable`,
        'use letters, digits and _, no digit first',
        [String(error.params.propertyName)],
        true,
      );
    case 'false schema':
      return at('this has no meaning in a document of this kind', 'leave it out');
    case 'pattern':
      return at(`${value} is not of the right form`, patternHint(error));
    case 'minLength':
    case 'minItems':
      return at('it is empty', writeInstead(error));
    default:
      return at(`it ${error.message ?? 'is not valid'}`, writeInstead(error));
  }
}

function unknownField(
  error: ErrorObject,
  at: (message: string, hint: string, more: readonly string[], atName: boolean) => StructureError,
): StructureError {
  const name = String(error.params.additionalProperty);
  const known = Object.keys(schemaOf(error).properties ?? {});
  const near = closest(name, known);
  const hint = near === null ? `the fields here are ${known.join(', ')}` : `did you mean "${near}"?`;
  return at(`the field "${name}" is not known`, hint, [name], true);
}

/** The part of the schema that was broken, as far as its words go into the message. */
function schemaOf({ parentSchema }: ErrorObject): {
  properties?: object;
  examples?: unknown[];
  default?: unknown;
} {
  const { properties, examples, default: value } = parentSchema ?? {};
  return {
    ...(isMap(properties) ? { properties } : {}),
    ...(Array.isArray(examples) ? { examples } : {}),
    ...(value === undefined ? {} : { default: value }),
  };
}

function example(error: ErrorObject, name: string): string {
  const properties = schemaOf(error).properties;
  const field: unknown = properties && Object.entries(properties).find(([key]) => key === name)?.[1];
  if (!isMap(field)) return '';
  if ('const' in field) return `write ${name}: ${field.const}`;
  return Array.isArray(field.examples) ? `write for example ${name}: ${show(field.examples[0])}` : '';
}

function writeInstead(error: ErrorObject): string {
  const { examples, default: value } = schemaOf(error);
  const sample = examples?.[0] ?? value;
  if (error.params.type === 'string' && ['number', 'boolean'].includes(typeof error.data)) {
    // What was parsed may differ from it: 3.10 is 3.1.
    return 'put it in quotes, as it is written';
  }
  return sample === undefined ? '' : `write for example ${show(sample)}`;
}

function patternHint(error: ErrorObject): string {
  const sample = schemaOf(error).examples?.[0];
  if (sample !== undefined) return `write for example ${show(sample)}`;
  const field = error.instancePath;
  if (/\/(packages|pipPackages)\//.test(field))
    return 'one package in each entry, without spaces, beginning with a letter or digit';
  if (field.includes('/allowedDomains/'))
    return 'write a domain such as git.example.com or *.example.org, without scheme, port or path';
  if (field.includes('/mounts/')) return 'write an absolute path such as /srv/datasets';
  return '';
}

function typeName(value: unknown, hidden: boolean): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  return hidden ? `a ${typeof value}` : `the ${typeof value} ${show(value)}`;
}

function expected(type: unknown): string {
  const names: Readonly<Record<string, string>> = {
    string: 'a text',
    number: 'a number',
    integer: 'a whole number',
    boolean: 'true or false',
    array: 'a list',
    object: 'a map',
  };
  return (Array.isArray(type) ? type : [type]).map((one) => names[String(one)] ?? String(one)).join(' or ');
}

function list(values: unknown): string {
  return Array.isArray(values) ? values.map(show).join(' or ') : show(values);
}

function show(value: unknown): string {
  const text =
    typeof value === 'string'
      ? `"${value}"`
      : typeof value === 'number'
        ? String(value)
        : (JSON.stringify(value) ?? String(value));
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
