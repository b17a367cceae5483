import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parse } from 'yaml';
import { paths, rowsOf, tableOf, withTable } from '../../charts/generate.ts';
import { find, render, without } from './helm.ts';

const skip = await without('helm');
const again = 'run `node charts/generate.ts`';

test("README's table is what the comments in values.yaml make of it", async () => {
  const readme = await readFile(paths.readme, 'utf8');
  const table = tableOf(rowsOf(await readFile(paths.values, 'utf8')));
  assert.equal(readme, withTable(readme, table), again);
});

test('every value has a comment, so that none is left out of the table', async () => {
  const text = await readFile(paths.values, 'utf8');
  const keys = rowsOf(text).map(({ key }) => key);
  const values: unknown = parse(text);
  const uncovered = (value: unknown, at: string): readonly string[] => {
    if (keys.includes(at)) return [];
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [at];
    return Object.entries(value).flatMap(([key, inner]) =>
      uncovered(inner, at === '' ? key : `${at}.${key}`),
    );
  };
  assert.deepEqual(uncovered(values, ''), []);
});

test("a comment's value is found however deep it is, with its default", () => {
  const rows = rowsOf(
    'a:\n  # -- The inner.\n  b:\n    c: 1\nd:\n  # not this\n  e: 2\n  # -- A list.\n  f: [x]\n',
  );
  assert.deepEqual(rows, [
    { key: 'a.b', default: { c: 1 }, meaning: 'The inner.' },
    { key: 'd.f', default: ['x'], meaning: 'A list.' },
  ]);
});

test('the resource definition in the chart is the one in schemas', async () => {
  assert.equal(await readFile(paths.chartCrd, 'utf8'), await readFile(paths.crd, 'utf8'), again);
});

test('the chart installs that very definition, and lets it stay when the release goes', {
  skip,
}, async () => {
  const rendered = find(await render(), 'CustomResourceDefinition', 'terminals.openwebui.com');
  const source: { readonly spec: unknown } = parse(await readFile(paths.crd, 'utf8'));
  assert.deepEqual(rendered.get('spec'), source.spec);
  assert.deepEqual(rendered.get('metadata.annotations'), { 'helm.sh/resource-policy': 'keep' });
});

test('crd.install false leaves the definition to others', { skip }, async () => {
  const objects = await render({ values: { crd: { install: false } } });
  assert.ok(!objects.some(({ kind }) => kind === 'CustomResourceDefinition'));
});
