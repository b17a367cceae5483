import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KubeObject, pathOf, pods, type Resource } from '../../src/kubernetes/objects.ts';
import { requestAnnotation } from '../../src/kubernetes/reconcile-request.ts';
import { terminals } from '../../src/operator/terminal-resource.ts';
import { withoutCluster } from '../engines.ts';
import { type Cluster, nowhere, openCluster, recordWrites, until } from './cluster.ts';

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
    await cluster.status('t', ({ lastHandledReconcileAt }) => lastHandledReconcileAt === value, 10_000);
  }
});

/** Whether a Pod would be accepted: a quota that is gone counts for a moment more. */
async function podsAreAccepted({ client, namespace }: Cluster): Promise<boolean> {
  const spec = { containers: [{ name: 'terminal', image: 'open-terminal:1' }] };
  const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'try', namespace }, spec };
  return client.request('POST', pathOf(pods, namespace), { query: { dryRun: 'All' }, body }).then(
    () => true,
    () => false,
  );
}

test('one that waits for its next try is tried at once', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const writes = recordWrites(t, cluster);
  cluster.operator();
  await cluster.apply(quotas, 'none', { spec: { hard: { pods: '0' } } });
  await until(async () => 'status' in ((await cluster.get(quotas, 'none')) ?? {}));
  await cluster.terminal('t', nowhere);
  await cluster.status('t', ({ phase }) => phase === 'Error');
  // Pauses as long as they get are 1, 2, 4 and 8 seconds; what is made meanwhile brings more tries at first.
  t.mock.method(Math, 'random', () => 1);
  let [tries, last, pauseMs] = [0, Date.now(), 0];
  await until(() => {
    const made = writes.filter(({ what }) => what === 'PATCH pods/t').length;
    if (made > tries) [tries, last, pauseMs] = [made, Date.now(), Date.now() - last];
    return pauseMs > 3_500;
  }, 30_000);
  const ownTry = last + 7_000;
  await cluster.remove(quotas, 'none');
  await until(() => podsAreAccepted(cluster));
  await ask(cluster, 'now');
  await until(async () => (await cluster.get(pods, 't')) !== undefined, ownTry - Date.now());
});
