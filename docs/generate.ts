/**
 * `npm run generate` writes the pages that are made from the code: docs/policy.md from the policy's JSON Schema, and the
 * table of variables in README.md. Without a change to those it changes nothing, which test/docs.test.ts holds it to.
 * @module
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { variablesTable } from '../src/config/variables.ts';
import { policySchema } from '../src/policy/policy-schema.ts';

const root = new URL('..', import.meta.url);

/** What a JSON Schema says of one field, as far as the page shows it. */
interface Field {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Field>>;
  readonly items?: Field;
  /** Of a map: what each of its values is. */
  readonly additionalProperties?: Field | boolean;
}

/** All generated files, by path from the root of the repository. */
export async function generatedPages(): Promise<ReadonlyMap<string, string>> {
  const readme = await readFile(new URL('README.md', root), 'utf8');
  return new Map([
    ['docs/policy.md', policyPage(policySchema.$defs.spec as Field)],
    ['README.md', withTable(readme, variablesTable())],
  ]);
}

function policyPage(spec: Field): string {
  return `# The fields of a policy

<!-- Made from schemas/policy.schema.json by \`npm run generate\`; edit that, not this. -->

A policy is one YAML document with \`apiVersion: terminals.openwebui.com/v1alpha1\`, \`kind: Policy\`, \`metadata.name\` (a
DNS-1123 label: the id in \`/p/{id}/\`) and a \`spec\` of these fields. All of them may be left out.

With \`extends: NAME\` beside the spec, everything of that other policy holds that is not written here; a document of
\`kind: PolicyDefaults\` holds where no policy says anything else ([more about both](gitops.md#policies-that-share)).

| field | type | default | meaning |
|---|---|---|---|
${rowsOf(spec, '').join('\n')}
`;
}

function rowsOf({ properties = {} }: Field, prefix: string): readonly string[] {
  return Object.entries(properties).flatMap(([name, field]) => {
    const path = `${prefix}${name}`;
    if (field.properties) return rowsOf(field, `${path}.`);
    const { items, additionalProperties: values } = field;
    return [
      rowOf(path, field),
      ...(items?.properties ? rowsOf(items, `${path}[].`) : []),
      ...(typeof values === 'object' && values.properties ? rowsOf(values, `${path}.*.`) : []),
    ];
  });
}

function rowOf(path: string, field: Field): string {
  const value = field.default === undefined ? '–' : `\`${JSON.stringify(field.default)}\``;
  return `| \`${path}\` | ${typeOf(field)} | ${value} | ${cell(field.description ?? '')} |`;
}

function typeOf({ type, enum: values, items }: Field): string {
  if (values) return values.map((value) => `\`${value}\``).join(', ');
  const own = [type ?? []].flat().join(' or ');
  return own === 'array' && items?.type ? `list of ${[items.type].flat().join(' or ')}` : own;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function withTable(page: string, table: string): string {
  const [begin, end] = ['<!-- variables -->', '<!-- /variables -->'];
  const [before, rest = ''] = page.split(begin);
  return `${before}${begin}\n${table}\n${end}${rest.split(end)[1] ?? ''}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [file, text] of await generatedPages()) await writeFile(new URL(file, root), text);
}
