import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operatorDefaults } from '../../src/operator/defaults.ts';
import { environment, find, list, type Rendered, render, without } from './helm.ts';

const skip = await without('helm');

/** `verb resource` of every rule, with the names it is restricted to. */
function grants(role: Rendered): readonly string[] {
  return list(role.get('rules')).flatMap((rule) => {
    const { apiGroups, resources, verbs, resourceNames } = Object(rule);
    assert.ok(!JSON.stringify(rule).includes('*'), 'no wildcards');
    assert.equal(list(apiGroups).length, 1);
    const only = resourceNames === undefined ? '' : ` ${list(resourceNames).join(',')}`;
    return list(resources).map((resource) => `${resource}: ${list(verbs).join(' ')}${only}`);
  });
}

const operatorGrants = [
  'terminals: get list watch',
  'terminals/status: patch',
  'services: get list watch create patch',
  'persistentvolumeclaims: get list watch create patch',
  'secrets: get list watch create patch',
  'pods: get list watch create patch delete',
  'pods/resize: patch',
  'networkpolicies: get list watch create patch',
  'events: create patch',
];
const leaseGrants = ['leases: create', 'leases: get update web-terminals-operator'];

test('the operator may do what it does, and nothing more', { skip }, async () => {
  const role = find(await render(), 'Role', 'web-terminals-operator');
  assert.deepEqual(grants(role), [...operatorGrants, ...leaseGrants]);
});

test('the orchestrator may declare terminals, say how revisions fare, and else only read', {
  skip,
}, async () => {
  const role = find(await render(), 'Role', 'web-terminals-orchestrator');
  assert.deepEqual(grants(role), [
    'terminals: get list watch create patch delete',
    'terminals/status: patch',
    'pods: get list watch',
    'secrets: get list watch',
    'configmaps: get list watch patch web-terminals-policies,web-terminals-orchestrator',
    'configmaps: create web-terminals-orchestrator',
    'events: create patch',
    'leases: create',
    'leases: get update web-terminals-orchestrator',
  ]);
});

test('there is no ClusterRole unless it is asked for', { skip }, async () => {
  assert.ok(!(await render()).some(({ kind }) => kind.startsWith('ClusterRole')));
});

test('a ClusterRole is for the operator only, and its Lease stays in one namespace', { skip }, async () => {
  const objects = await render({ values: { rbac: { clusterWide: true } } });
  const roles = objects.filter(({ kind }) => kind === 'ClusterRole');
  assert.deepEqual(
    roles.map(({ name }) => name),
    ['ai-web-terminals-operator'],
  );
  for (const role of roles) assert.deepEqual(grants(role), operatorGrants);
  assert.deepEqual(grants(find(objects, 'Role', 'web-terminals-operator')), leaseGrants);
  const binding = find(objects, 'ClusterRoleBinding', 'ai-web-terminals-operator');
  assert.deepEqual(binding.get('subjects'), [
    { kind: 'ServiceAccount', name: 'web-terminals-operator', namespace: 'ai' },
  ]);
});

test('in a namespace of their own, terminals are out of reach of the release, and it of them', {
  skip,
}, async () => {
  const objects = await render({ values: { terminalsNamespace: 'shells' } });
  const namespaces = (kind: string) =>
    new Set(
      objects.filter((object) => object.kind === kind).map((object) => object.get('metadata.namespace')),
    );
  for (const kind of ['Role', 'RoleBinding', 'ConfigMap'])
    assert.deepEqual(namespaces(kind), new Set(['shells']), kind);
  for (const kind of ['Deployment', 'Secret', 'Service', 'ServiceAccount'])
    assert.deepEqual(namespaces(kind), new Set(['ai']), kind);
  const binding = find(objects, 'RoleBinding', 'web-terminals-operator');
  assert.equal(binding.get('subjects.0.namespace'), 'ai');
  const variables = environment(find(objects, 'Deployment', 'web-terminals-operator'));
  assert.equal(variables.TERMINALS_KUBERNETES_NAMESPACE, 'shells');
  assert.equal(variables.TERMINALS_KUBERNETES_ORCHESTRATOR_NAMESPACE, 'ai');
});

test("the orchestrator has the labels that the operator's network policies let in", { skip }, async () => {
  const orchestrator = find(await render(), 'Deployment', 'web-terminals-orchestrator');
  const labels = Object(orchestrator.get('spec.template.metadata.labels'));
  assert.deepEqual({ ...labels, ...operatorDefaults.orchestrator.labels }, labels);
});

test('accounts that others made are bound, and none is made', { skip }, async () => {
  const serviceAccount = { create: false, name: 'theirs' };
  const objects = await render({
    values: { operator: { serviceAccount }, orchestrator: { serviceAccount } },
  });
  assert.ok(!objects.some(({ kind }) => kind === 'ServiceAccount'));
  assert.equal(find(objects, 'RoleBinding', 'web-terminals-operator').get('subjects.0.name'), 'theirs');
  const pod = find(objects, 'Deployment', 'web-terminals-operator').get(
    'spec.template.spec.serviceAccountName',
  );
  assert.equal(pod, 'theirs');
});

test('network policies let the orchestrator in to terminals, and nobody to the operator', {
  skip,
}, async () => {
  const objects = await render({
    values: { networkPolicy: { enabled: true }, terminalsNamespace: 'shells' },
  });
  const operator = find(objects, 'NetworkPolicy', 'web-terminals-operator');
  assert.deepEqual(
    [operator.get('spec.policyTypes'), operator.get('spec.ingress')],
    [['Ingress'], undefined],
  );
  const terminals = find(objects, 'NetworkPolicy', 'web-terminals-terminals');
  assert.equal(terminals.get('metadata.namespace'), 'shells');
  const orchestrator = find(objects, 'Deployment', 'web-terminals-orchestrator');
  assert.deepEqual(terminals.get('spec.ingress'), [
    {
      from: [
        {
          podSelector: { matchLabels: orchestrator.get('spec.selector.matchLabels') },
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'ai' } },
        },
      ],
      ports: [{ protocol: 'TCP', port: 8000 }],
    },
  ]);
});
