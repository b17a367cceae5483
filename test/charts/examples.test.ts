import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';
import { at } from '../../charts/generate.ts';
import { call, problemsOf, template, without } from './helm.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const examples = path.join(root, 'examples');
const read = (file: string) => readFile(path.join(examples, file), 'utf8');
const documents = async (file: string): Promise<readonly unknown[]> =>
  parseAllDocuments(await read(file)).map((document) => document.toJS());
const noLua = (await call('lua', ['-v'])).ok ? false : 'skipped: no lua on the PATH';

test('the folder of policies becomes one ConfigMap whose name never changes', {
  skip: await without('kubectl'),
}, async () => {
  const { ok, out, err } = await call('kubectl', ['kustomize', path.join(examples, 'kustomize')]);
  assert.ok(ok, err);
  const map: unknown = parse(out);
  assert.equal(at(map, ['metadata', 'name']), 'terminals-policies');
  const files = await readdir(path.join(examples, 'kustomize/policies'));
  assert.deepEqual(Object.keys(Object(at(map, ['data']))).sort(), files.sort());
});

test('the policies in it are valid', async () => {
  assert.equal(await problemsOf(path.join(examples, 'kustomize/policies')), '');
});

test('Flux and Argo CD name folders that are here, and the ConfigMap that is made of them', async () => {
  const [, kustomization] = await documents('flux/policies.yaml');
  const [release] = await documents('flux/terminals.yaml');
  const [policies] = await documents('argocd/policies.yaml');
  const [application] = await documents('argocd/terminals.yaml');
  const folders = [
    at(kustomization, ['spec', 'path']),
    at(release, ['spec', 'chart', 'spec', 'chart']),
    at(policies, ['spec', 'source', 'path']),
    at(application, ['spec', 'source', 'path']),
  ];
  for (const folder of folders) assert.ok((await stat(path.join(root, String(folder)))).isDirectory());
  const values = [
    at(release, ['spec', 'values']),
    at(application, ['spec', 'source', 'helm', 'valuesObject']),
  ];
  for (const value of values) assert.equal(at(value, ['existingPoliciesConfigMap']), 'terminals-policies');
  const source = await documents('flux/policies.yaml');
  assert.equal(at(kustomization, ['spec', 'sourceRef', 'name']), at(source[0], ['metadata', 'name']));
});

test('the values they give are values of the chart', { skip: await without('helm') }, async () => {
  const [release] = await documents('flux/terminals.yaml');
  const [application] = await documents('argocd/terminals.yaml');
  for (const values of [
    at(release, ['spec', 'values']),
    at(application, ['spec', 'source', 'helm', 'valuesObject']),
  ]) {
    const { ok, err } = await template({ values });
    assert.ok(ok, err);
  }
});

test('what is rendered for Argo CD is the same at every sync', { skip: await without('helm') }, async () => {
  const [application] = await documents('argocd/terminals.yaml');
  const values = at(application, ['spec', 'source', 'helm', 'valuesObject']);
  assert.equal((await template({ values })).out, (await template({ values })).out);
});

test('argocd-cm carries the script word for word', async () => {
  const [map] = await documents('argocd/argocd-cm.yaml');
  const script = at(map, ['data', 'resource.customizations.health.openwebui.com_Terminal']);
  assert.equal(script, await read('argocd/health.lua'));
});

/** A value as a Lua literal. */
function lua(value: unknown): string {
  if (Array.isArray(value)) return `{${value.map(lua).join(', ')}}`;
  if (typeof value !== 'object' || value === null) return value === null ? 'nil' : JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, inner]) => `[${JSON.stringify(key)}] = ${lua(inner)}`)
    .join(', ')}}`;
}

const condition = (type: string, status: string, message?: string) => ({
  type,
  status,
  ...(message ? { message } : {}),
});
const cases: readonly (readonly [what: string, obj: object, health: string])[] = [
  ['a Terminal that the operator has not seen', { spec: {} }, 'Progressing: Waiting for the operator'],
  [
    'a running one',
    { status: { phase: 'Running', observedGeneration: 2, conditions: [condition('Ready', 'True', 'up')] } },
    'Healthy: up',
  ],
  [
    'an idle one',
    {
      status: {
        phase: 'Idle',
        observedGeneration: 2,
        conditions: [condition('Ready', 'False', 'idle since noon')],
      },
    },
    'Healthy: idle since noon',
  ],
  [
    'one that starts',
    {
      status: {
        phase: 'Provisioning',
        observedGeneration: 2,
        conditions: [condition('Ready', 'False', 'pulling')],
      },
    },
    'Progressing: pulling',
  ],
  [
    'one whose image is not there',
    { status: { phase: 'Error', observedGeneration: 2, message: 'no such image' } },
    'Degraded: no such image',
  ],
  [
    'a stalled one',
    {
      status: {
        phase: 'Pending',
        observedGeneration: 2,
        conditions: [condition('Stalled', 'True', 'name taken')],
      },
    },
    'Degraded: name taken',
  ],
  [
    'a changed one that was ready before',
    { status: { phase: 'Running', observedGeneration: 1, conditions: [condition('Ready', 'True')] } },
    'Progressing: The operator has not seen this version yet',
  ],
  [
    'a suspended one',
    { spec: { suspend: true }, status: { phase: 'Error' } },
    'Suspended: spec.suspend is true',
  ],
];

for (const [what, obj, health] of cases) {
  test(`Argo CD takes ${what} for ${health.split(':')[0]}`, { skip: noLua }, async () => {
    const object = lua({ metadata: { generation: 2 }, ...obj });
    const script = `local function health(obj)\n${await read('argocd/health.lua')}end\nlocal h = health(${object})\nio.write(h.status .. ": " .. h.message)`;
    const { ok, out, err } = await call('lua', ['-'], script);
    assert.ok(ok, err);
    assert.equal(out, health);
  });
}
