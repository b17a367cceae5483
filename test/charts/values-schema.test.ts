import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { at, paths } from '../../charts/generate.ts';
import { chart, template, without } from './helm.ts';

const skip = await without('helm');

const refused: readonly (readonly [what: string, values: unknown, says: RegExp])[] = [
  ['a key that is a number', { apiKey: 12345 }, /apiKey/],
  ['a key with a space in it', { apiKey: 'two words' }, /apiKey/],
  ['a count in words', { orchestrator: { replicaCount: 'two' } }, /replicaCount/],
  ['a negative idle timeout', { orchestrator: { idleTimeoutMinutes: -1 } }, /idleTimeoutMinutes/],
  ['a port out of range', { orchestrator: { service: { port: 70000 } } }, /port/],
  ['a backend that is not there', { orchestrator: { backend: 'kubernetes' } }, /backend/],
  ['a switch in words', { crd: { install: 'yes please' } }, /install/],
  ['a size that is no quantity', { terminalDefaults: { persistence: { size: '1 gigabyte' } } }, /size/],
  ['a misspelt value', { orchestrator: { replicas: 2 } }, /replicas/],
  ['a misspelt group of values', { orchestrater: {} }, /orchestrater/],
  ['a policy that is a list', { policies: { default: [] } }, /policies/],
  ["a policy's name with an underscore", { policies: { data_science: {} } }, /data_science/],
  ['a selector that is a name', { policiesSelector: 'policies' }, /policiesSelector/],
  [
    'several operators that elect none',
    { operator: { replicaCount: 2, leaderElection: { enabled: false } } },
    /replicaCount/,
  ],
];

for (const [what, values, says] of refused) {
  test(`the values are refused for ${what}`, { skip }, async () => {
    const { ok, err } = await template({ values });
    assert.ok(!ok, 'was rendered');
    assert.match(err, /don't meet the specifications of the schema/);
    assert.match(err, says);
  });
}

/** Every path of keys of an object, where empty objects and lists are leaves. */
function keysOf(value: unknown, before: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [before];
  const entries = Object.entries(value);
  return entries.length === 0 ? [before] : entries.flatMap(([key, inner]) => keysOf(inner, [...before, key]));
}

test('the schema has a word on every value', async () => {
  const values: unknown = parse(await readFile(paths.values, 'utf8'));
  const schema: unknown = JSON.parse(await readFile(path.join(chart, 'values.schema.json'), 'utf8'));
  for (const keys of keysOf(values)) {
    let node = schema;
    for (const key of keys) {
      const reference = at(node, ['$ref']);
      if (typeof reference === 'string') node = at(schema, reference.slice(2).split('/'));
      if (at(node, ['properties']) === undefined) break;
      node = at(node, ['properties', key]);
      assert.notEqual(node, undefined, `${keys.join('.')} is not in values.schema.json`);
    }
  }
});
