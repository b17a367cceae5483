import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type KubeObject, pods, type Resource } from '../../src/kubernetes/objects.ts';
import { requestAnnotation } from '../../src/kubernetes/reconcile-request.ts';
import { terminals } from '../../src/operator/terminal-resource.ts';
import { withoutCluster } from '../engines.ts';
import { type Cluster, nowhere, openCluster, until } from './cluster.ts';

const skip = await withoutCluster();
const quotas: Resource<KubeObject> = { apiVersion: 'v1', kind: 'ResourceQuota', plural: 'resourcequotas' };

async function ask(cluster: Cluster, value: string): Promise<void> {
  await cluster.patch(terminals, 't', { metadata: { annotations: { [requestAnnotation]: value } } });
}

test('a Terminal that is asked for is looked at, and its status says which request that answers', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await cluster.terminal('t', nowhere);
  const before = await cluster.status('t', ({ phase }) => phase === 'Pending');
  assert.equal(before.lastHandledReconcileAt, undefined);
  for (const value of ['2030-01-01T00:00:00Z', 'again']) {
    await ask(cluster, value);
    await cluster.status('t', ({ lastHandledReconcileAt }) => lastHandledReconcileAt === value, 2_000);
  }
});

test('one that waits for its next try is tried at once', { skip }, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await cluster.apply(quotas, 'none', { spec: { hard: { pods: '0' } } });
  await until(async () => 'status' in ((await cluster.get(quotas, 'none')) ?? {}));
  await cluster.terminal('t', nowhere);
  await cluster.status('t', ({ phase }) => phase === 'Error');
  // Until the pauses are long: 1, 2 and 4 seconds at most have gone by then.
  await delay(7_500);
  await cluster.remove(quotas, 'none');
  await ask(cluster, 'now');
  await until(async () => (await cluster.get(pods, 't')) !== undefined, 1_500);
});
