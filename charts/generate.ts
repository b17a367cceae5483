/**
 * `node charts/generate.ts`: what the chart has from elsewhere. The table of values in README.md comes from the comments
 * in values.yaml, the resource definition from schemas/.
 * @module
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));
export const paths = {
  values: path('terminals/values.yaml'),
  readme: path('terminals/README.md'),
  chartCrd: path('terminals/files/terminal.crd.yaml'),
  crd: path('../schemas/terminal.crd.yaml'),
};

/** One value: where it is, what it is without being set, and what it is for. */
export interface Row {
  readonly key: string;
  readonly default: unknown;
  readonly meaning: string;
}

/** The values that a `# --` comment stands right before, in the order of the file. */
export function rowsOf(text: string): readonly Row[] {
  const values: unknown = parse(text);
  const rows: Row[] = [];
  const parents: { readonly indent: number; readonly key: string }[] = [];
  let meaning = '';
  for (const line of text.split('\n')) {
    const comment = /^\s*# -- (.*)$/.exec(line)?.[1];
    const [, space, key] = /^( *)([A-Za-z][\w-]*):/.exec(line) ?? [];
    if (comment !== undefined) meaning = comment;
    if (space === undefined || key === undefined) continue;
    while ((parents.at(-1)?.indent ?? -1) >= space.length) parents.pop();
    parents.push({ indent: space.length, key });
    if (meaning === '') continue;
    const keys = parents.map((parent) => parent.key);
    rows.push({ key: keys.join('.'), default: at(values, keys), meaning });
    meaning = '';
  }
  return rows;
}

/** What stands at a path of keys. */
export function at(value: unknown, keys: readonly string[]): unknown {
  return keys.reduce<unknown>(
    (inner, key) =>
      typeof inner === 'object' && inner !== null
        ? Object.entries(inner).find(([name]) => name === key)?.[1]
        : undefined,
    value,
  );
}

/** The rows as a table in Markdown. */
export function tableOf(rows: readonly Row[]): string {
  const cell = (text: string) => text.replaceAll('|', '\\|');
  const lines = rows.map(
    (row) => `| \`${row.key}\` | \`${cell(JSON.stringify(row.default))}\` | ${cell(row.meaning)} |`,
  );
  return ['| value | default | meaning |', '|---|---|---|', ...lines].join('\n');
}

/** README.md with the table between its two marks. */
export function withTable(readme: string, table: string): string {
  const marks = /(<!-- values:begin[^\n]*-->\n)[\s\S]*(<!-- values:end -->)/;
  if (!marks.test(readme))
    throw new Error('README.md lacks the marks <!-- values:begin --> and <!-- values:end -->');
  return readme.replace(marks, (_all, begin: string, end: string) => `${begin}${table}\n${end}`);
}

async function generate(): Promise<void> {
  const table = tableOf(rowsOf(await readFile(paths.values, 'utf8')));
  await writeFile(paths.readme, withTable(await readFile(paths.readme, 'utf8'), table));
  await writeFile(paths.chartCrd, await readFile(paths.crd, 'utf8'));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await generate();
