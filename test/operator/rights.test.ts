/** What the operator may do at least; the chart's Role gives it that and nothing more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pods } from '../../src/kubernetes/objects.ts';
import { terminals } from '../../src/operator/terminal-resource.ts';
import { withoutCluster } from '../engines.ts';
import { accountWith } from './account.ts';
import { nowhere, openCluster, pretendReady, until } from './cluster.ts';

const skip = await withoutCluster();
const made = ['get', 'list', 'watch', 'create', 'patch'];
const rules = [
  { apiGroups: ['openwebui.com'], resources: ['terminals'], verbs: ['list', 'watch'] },
  { apiGroups: ['openwebui.com'], resources: ['terminals/status'], verbs: ['patch'] },
  { apiGroups: [''], resources: ['pods'], verbs: [...made, 'delete'] },
  { apiGroups: [''], resources: ['pods/resize'], verbs: ['patch'] },
  { apiGroups: [''], resources: ['services', 'secrets', 'persistentvolumeclaims'], verbs: made },
  { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'], verbs: made },
  { apiGroups: [''], resources: ['events'], verbs: ['create'] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update'] },
];

test('the operator needs these rights and no others for everything that it does', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const account = await accountWith(cluster, 'operator', rules);
  const operator = cluster.operator({
    kubeConfig: account,
    leaderElection: { namespace: cluster.namespace },
  });
  await operator.synced;
  await cluster.terminal('t', nowhere);
  await cluster.status('t', ({ phase }) => phase === 'Pending');
  await pretendReady(cluster, 't');
  await cluster.status('t', ({ phase }) => phase === 'Running');
  const first = (await cluster.pod('t')).metadata.uid;
  await cluster.patch(terminals, 't', { spec: { resources: { limits: { cpu: '2' } } } });
  await until(async () => (await cluster.pod('t')).spec?.containers[0]?.resources?.limits?.cpu === '2');
  assert.equal((await cluster.pod('t')).metadata.uid, first, 'resized in place');
  await cluster.patch(terminals, 't', { spec: { env: { A: '1' } } });
  await until(async () => ![undefined, first].includes((await cluster.get(pods, 't'))?.metadata.uid));
  await until(async () => {
    const path = `/api/v1/namespaces/${cluster.namespace}/events`;
    const { items } = await cluster.client.request<{ items: { reason: string }[] }>('GET', path);
    return items.some(({ reason }) => reason === 'PodReplaced');
  });
});

test('without the right to NetworkPolicies it works where it is told to make none', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const account = await accountWith(
    cluster,
    'operator',
    rules.filter(({ resources }) => !resources.includes('networkpolicies')),
  );
  cluster.operator({ kubeConfig: account, networkPolicies: false });
  await cluster.terminal('t', nowhere);
  await cluster.status('t', ({ phase }) => phase === 'Pending');
});

test('without the right to resize no Pod is deleted for it: the status says what is missing', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const account = await accountWith(
    cluster,
    'operator',
    rules.filter(({ resources }) => !resources.includes('pods/resize')),
  );
  cluster.operator({ kubeConfig: account });
  await cluster.terminal('t', nowhere);
  await cluster.status('t', ({ phase }) => phase === 'Pending');
  await pretendReady(cluster, 't');
  await cluster.status('t', ({ phase }) => phase === 'Running');
  const first = (await cluster.pod('t')).metadata.uid;
  await cluster.patch(terminals, 't', { spec: { resources: { limits: { cpu: '2' } } } });
  const status = await cluster.status('t', ({ observedGeneration }) => observedGeneration === 2);
  assert.match(status.message ?? '', /the Pod keeps its CPU and memory: .*pods\/resize/);
  assert.equal((await cluster.pod('t')).metadata.uid, first);
});
