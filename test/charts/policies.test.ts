import assert from 'node:assert/strict';
import { test } from 'node:test';
import { environment, find, inDirectory, list, problemsOf, type Rendered, render, without } from './helm.ts';

const skip = await without('helm');
const file =
  'kind: Policy\napiVersion: terminals.openwebui.com/v1alpha1\nmetadata: {name: b}\n---\n# and more\n';

/** The problems of the ConfigMap's keys as files. */
async function problemsIn(map: Rendered): Promise<string> {
  let said = '';
  const files = Object.entries(Object(map.get('data'))).map(([name, text]) => [name, String(text)]);
  await inDirectory(Object.fromEntries(files), async (dir) => {
    said = await problemsOf(dir);
  });
  return said;
}

test('inline policies become valid files of a ConfigMap, whichever way they are written', {
  skip,
}, async () => {
  const policies = {
    'data-science': { groups: ['data'], resources: { limits: { memory: '4Gi' } } },
    'b.yaml': file,
  };
  const map = find(await render({ values: { policies } }), 'ConfigMap', 'web-terminals-policies');
  assert.deepEqual(Object.keys(Object(map.get('data'))), ['b.yaml', 'data-science.yaml']);
  assert.equal(Object(map.get('data'))['b.yaml'], file);
  assert.equal(await problemsIn(map), '');
});

test('the check of these tests would see a policy that is not valid', { skip }, async () => {
  const map = find(
    await render({ values: { policies: { x: { imagee: 'a' } } } }),
    'ConfigMap',
    'web-terminals-policies',
  );
  assert.match(await problemsIn(map), /imagee/);
});

test('without policies there is an empty ConfigMap to put some into', { skip }, async () => {
  const map = find(await render(), 'ConfigMap', 'web-terminals-policies');
  assert.equal(map.get('data'), undefined);
  assert.deepEqual(Object(map.get('metadata.labels'))['terminals.openwebui.com/policies'], 'true');
});

/** The rule of the orchestrator's Role about ConfigMaps. */
function configMapRule(objects: readonly Rendered[]): unknown {
  const rules = list(find(objects, 'Role', 'web-terminals-orchestrator').get('rules'));
  return rules.find((rule) => list(Object(rule).resources).includes('configmaps'));
}

test('a ConfigMap that something else keeps is watched, and none may be but it and the own one', {
  skip,
}, async () => {
  const objects = await render({ values: { existingPoliciesConfigMap: 'from-git' } });
  assert.ok(!objects.some(({ kind }) => kind === 'ConfigMap'));
  const orchestrator = find(objects, 'Deployment', 'web-terminals-orchestrator');
  assert.equal(environment(orchestrator).TERMINALS_POLICIES_CONFIGMAP, 'from-git');
  // The other one is where orchestrators note how revisions fare.
  const names = ['from-git', 'web-terminals-orchestrator'];
  assert.deepEqual(Object(configMapRule(objects)).resourceNames, names);
});

test('a selector watches several ConfigMaps, and so may read those of the namespace', { skip }, async () => {
  const objects = await render({ values: { policiesSelector: 'terminals.openwebui.com/policies=true' } });
  assert.ok(!objects.some(({ kind }) => kind === 'ConfigMap'));
  const orchestrator = find(objects, 'Deployment', 'web-terminals-orchestrator');
  assert.equal(
    environment(orchestrator).TERMINALS_POLICIES_CONFIGMAP,
    'terminals.openwebui.com/policies=true',
  );
  assert.equal(Object(configMapRule(objects)).resourceNames, undefined);
});

test('a changed policy restarts no Pod', { skip }, async () => {
  const pods = async (idleTimeoutMinutes: number) => {
    const objects = await render({ values: { apiKey: 'k', policies: { default: { idleTimeoutMinutes } } } });
    return objects.filter(({ kind }) => kind === 'Deployment').map((object) => object.get('spec.template'));
  };
  assert.deepEqual(await pods(10), await pods(20));
});

test('images that policies name are pulled ahead with the default one', { skip }, async () => {
  const policies = {
    a: { image: 'r.example/a:1' },
    'b.yaml': `${file}---\nspec: {image: "r.example/b:1"}\n---\nspec:\n`,
    'c.yaml': 'not: [a policy',
  };
  const objects = await render({ values: { policies, prePull: { enabled: true } } });
  const containers = list(
    find(objects, 'DaemonSet', 'web-terminals-prepull').get('spec.template.spec.containers'),
  );
  assert.deepEqual(
    containers.map((container) => Object(container).image),
    ['ghcr.io/open-webui/open-terminal:latest', 'r.example/a:1', 'r.example/b:1'],
  );
});
