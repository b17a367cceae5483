/** The life of a terminal against a real API server; the test plays the kubelet, so no node is needed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type KubeObject,
  pods,
  type Resource,
  secrets,
  services,
  volumeClaims,
} from '../../src/kubernetes/objects.ts';
import { operatorDefaults } from '../../src/operator/defaults.ts';
import { resetAnnotation } from '../../src/operator/reset-request.ts';
import { stopAnnotation, terminals } from '../../src/operator/terminal-resource.ts';
import { withoutCluster } from '../engines.ts';
import {
  type Cluster,
  condition,
  nowhere,
  openCluster,
  pretendReady,
  recordWrites,
  until,
} from './cluster.ts';

const skip = await withoutCluster();
const quotas: Resource<KubeObject> = { apiVersion: 'v1', kind: 'ResourceQuota', plural: 'resourcequotas' };
const events: Resource<KubeObject & { reason?: string; involvedObject?: { name?: string } }> = {
  apiVersion: 'v1',
  kind: 'Event',
  plural: 'events',
};

/** A Terminal `t` whose Pod is said to be Ready. */
async function runningTerminal(cluster: Cluster, spec: object = {}): Promise<void> {
  await cluster.terminal('t', { ...nowhere, ...spec });
  await cluster.status('t', ({ phase }) => phase === 'Pending');
  await pretendReady(cluster, 't');
  await cluster.status('t', ({ phase }) => phase === 'Running');
}

async function uid(cluster: Cluster): Promise<string | undefined> {
  return (await cluster.get(pods, 't'))?.metadata.uid;
}

async function use(cluster: Cluster, at: Date): Promise<void> {
  await cluster.patch(terminals, 't', { status: { lastActivityAt: at.toISOString() } }, 'status');
}

test('an unschedulable Pod is told at once, and the Terminal is Ready exactly while its Pod is', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await cluster.terminal('t', nowhere);
  const said = /node\(s\) didn't match|no nodes available/;
  const pending = await cluster.status('t', ({ message }) => said.test(message ?? ''));
  assert.equal(condition(pending, 'Ready'), 'False Unschedulable');
  assert.equal(condition(pending, 'Reconciling'), 'True Unschedulable');

  await pretendReady(cluster, 't');
  const running = await cluster.status('t', ({ phase }) => phase === 'Running');
  assert.equal(condition(running, 'Ready'), 'True Running');
  assert.equal(running.podIP, '10.1.2.3');

  await pretendReady(cluster, 't', false);
  const unready = await cluster.status('t', ({ phase }) => phase !== 'Running');
  assert.match(condition(unready, 'Ready'), /^False/);
});

test('what is settled is written no more, however often it is looked at', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const operator = cluster.operator();
  await runningTerminal(cluster);
  await until(() => operator.state.queued === 0);
  // Another operator begins from nothing, as after a restart.
  await operator.stop();
  const writes = recordWrites(t, cluster);
  const again = cluster.operator();
  await again.synced;
  await until(() => again.state.leading && again.state.queued === 0);
  for (let i = 0; i < 3; i += 1)
    await cluster.patch(terminals, 't', { metadata: { annotations: { look: `${i}` } } });
  await cluster.patch(pods, 't', { metadata: { annotations: { look: 'again' } } });
  await cluster.patch(terminals, 't', { spec: { idleTimeoutMinutes: 31 } });
  // The last look is over once it has seen the new generation.
  await cluster.status('t', ({ observedGeneration }) => observedGeneration === 2);
  assert.deepEqual(
    writes.map(({ what }) => what),
    ['PATCH terminals/t/status'],
  );
});

test('a deleted Pod comes back with the same key, which nothing ever changes', { skip }, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await runningTerminal(cluster);
  const [key, first] = [await cluster.key('t'), await uid(cluster)];
  await cluster.remove(pods, 't');
  await until(async () => ![undefined, first].includes(await uid(cluster)));
  const status = await cluster.status('t', ({ phase }) => phase === 'Pending');
  assert.equal(condition(status, 'Ready').split(' ')[0], 'False');
  // Without its labels the Secret is out of the operator's sight, not out of the world.
  await cluster.patch(secrets, 't-key', { metadata: { labels: null } });
  await until(
    async () =>
      (await cluster.get(secrets, 't-key'))?.metadata.labels?.['app.kubernetes.io/instance'] === 't',
  );
  assert.equal(await cluster.key('t'), key);
});

test('an evicted Pod is replaced and the eviction told in an Event', { skip }, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await runningTerminal(cluster);
  const first = await uid(cluster);
  await cluster.patch(
    pods,
    't',
    { status: { phase: 'Failed', reason: 'Evicted', message: 'low on memory', conditions: [] } },
    'status',
  );
  await until(async () => ![undefined, first].includes(await uid(cluster)));
  await until(async () => {
    const { items } = await cluster.client.request<{ items: (KubeObject & { reason: string })[] }>(
      'GET',
      `/api/v1/namespaces/${cluster.namespace}/${events.plural}`,
    );
    return items.some(({ reason }) => reason === 'Evicted');
  });
});

test('a Secret that was deleted gives a new key, and the Pod is replaced to have it too', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await runningTerminal(cluster);
  const [key, first] = [await cluster.key('t'), await uid(cluster)];
  await cluster.remove(secrets, 't-key');
  await until(async () => ![undefined, first].includes(await uid(cluster)));
  assert.notEqual(await cluster.key('t'), key);
});

test('an edit of the spec replaces the Pod; CPU and memory are changed in the running one', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await runningTerminal(cluster);
  const first = await uid(cluster);
  const { revision } = await cluster.status('t', ({ phase }) => phase === 'Running');

  await cluster.patch(terminals, 't', { spec: { resources: { limits: { cpu: '1500m', memory: '2Gi' } } } });
  const limits = async () => (await cluster.pod('t')).spec?.containers[0]?.resources?.limits;
  await until(async () => (await limits())?.cpu === '1500m' && (await limits())?.memory === '2Gi');
  assert.equal(await uid(cluster), first);

  await cluster.patch(terminals, 't', { spec: { env: { NEW: 'x' } } });
  await until(async () => ![undefined, first].includes(await uid(cluster)));
  await cluster.status('t', (status) => status.revision !== revision && status.observedGeneration === 3);
  const [container] = (await cluster.pod('t')).spec?.containers ?? [];
  assert.ok(container?.env?.some(({ name, value }) => name === 'NEW' && value === 'x'));
});

test('CPU and memory that the running Pod can not have are said, and come with the next one', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await runningTerminal(cluster);
  const first = await uid(cluster);
  // As much as is requested: another class of service, which a Pod can't change.
  const limits = { cpu: '100m', memory: '256Mi' };
  await cluster.patch(terminals, 't', { spec: { resources: { limits } } });
  const status = await cluster.status('t', ({ observedGeneration }) => observedGeneration === 2);
  assert.match(status.message ?? '', /keeps its CPU and memory: .*QOS.*the next start brings/i);
  assert.deepEqual([status.phase, condition(status, 'Stalled')], ['Running', 'False NotStalled']);
  assert.equal(await uid(cluster), first);

  await cluster.remove(pods, 't');
  await until(async () => ![undefined, first].includes(await uid(cluster)));
  assert.deepEqual((await cluster.pod('t')).spec?.containers[0]?.resources?.limits, limits);
  await cluster.status('t', ({ message }) => !message?.includes('keeps its CPU'));
});

test('a suspended Terminal keeps its Pod as it is until it is resumed', { skip }, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await runningTerminal(cluster);
  const first = await uid(cluster);
  await cluster.patch(terminals, 't', { spec: { suspend: true, image: 'other:1' } });
  await cluster.status('t', ({ observedGeneration }) => observedGeneration === 2);
  assert.equal(await uid(cluster), first);
  await cluster.patch(terminals, 't', { spec: { suspend: false } });
  await until(async () => ![undefined, first].includes(await uid(cluster)));
});

test('a Terminal idle for its timeout loses its Pod alone; the next use brings a fresh one', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await runningTerminal(cluster);
  const key = await cluster.key('t');
  const used = new Date();
  await use(cluster, used);
  await cluster.patch(terminals, 't', { spec: { idleTimeoutMinutes: 0.05 } });
  const idle = await cluster.status('t', ({ phase }) => phase === 'Idle');
  assert.ok(Date.now() - used.getTime() >= 3_000, 'not before its time');
  assert.equal(condition(idle, 'Ready'), 'False Idle');
  assert.equal(idle.idleSince, used.toISOString());
  await until(async () => (await uid(cluster)) === undefined);
  assert.ok(await cluster.get(volumeClaims, 't-home'));
  assert.ok(await cluster.get(services, 't'));

  await cluster.patch(terminals, 't', { spec: { idleTimeoutMinutes: 60 } });
  const still = await cluster.status('t', ({ observedGeneration }) => observedGeneration === 3);
  assert.equal(still.phase, 'Idle');

  await use(cluster, new Date(used.getTime() + 1));
  const woken = await cluster.status('t', ({ phase }) => phase === 'Pending');
  assert.equal(woken.idleSince, undefined);
  assert.ok(await uid(cluster));
  assert.equal(await cluster.key('t'), key);
});

test('activity moves the idle time, and a stop that was asked for comes at once', { skip }, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await runningTerminal(cluster);
  await use(cluster, new Date(Date.now() + 600_000));
  await cluster.patch(terminals, 't', { spec: { idleTimeoutMinutes: 0.05 } });
  assert.equal((await cluster.status('t', (now) => now.observedGeneration === 2)).phase, 'Running');
  const stop = new Date(Date.now() + 1_200_000).toISOString();
  await cluster.patch(terminals, 't', { metadata: { annotations: { [stopAnnotation]: stop } } });
  const idle = await cluster.status('t', ({ phase }) => phase === 'Idle');
  assert.match(idle.message ?? '', /stopped as asked for/);
});

test('a quota that is used up is told at once; the Pod comes when there is room', { skip }, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await cluster.apply(quotas, 'none', { spec: { hard: { pods: '0' } } });
  await until(async () => 'status' in ((await cluster.get(quotas, 'none')) ?? {}));
  await cluster.terminal('t', nowhere);
  const status = await cluster.status('t', ({ phase }) => phase === 'Error');
  assert.equal(condition(status, 'Stalled'), 'True QuotaExceeded');
  assert.match(status.message ?? '', /exceeded quota: none/);
  await cluster.remove(quotas, 'none');
  await cluster.status('t', ({ phase }) => phase === 'Pending', 30_000);
});

test('a podTemplate that asks for too much stalls; a Pod that runs goes on running', { skip }, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await runningTerminal(cluster);
  const first = await uid(cluster);
  await cluster.patch(terminals, 't', { spec: { podTemplate: { spec: { hostNetwork: true } } } });
  const status = await cluster.status('t', (now) => condition(now, 'Stalled') === 'True InvalidPodTemplate');
  assert.equal(status.phase, 'Running');
  assert.equal(await uid(cluster), first);
});

test('a podTemplate that would have a Pod taken for one that empties a home makes none', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const writes = recordWrites(t, cluster);
  cluster.operator();
  const annotations = { [resetAnnotation]: new Date().toISOString() };
  await cluster.terminal('t', { podTemplate: { metadata: { annotations }, ...nowhere.podTemplate } });
  const status = await cluster.status('t', ({ phase }) => phase === 'Error', 5_000);
  assert.equal(condition(status, 'Stalled'), 'True InvalidPodTemplate');
  assert.match(
    status.message ?? '',
    /podTemplate\.metadata\.annotations\.openwebui\.com\/reset-requested-at/,
  );
  assert.deepEqual(
    writes.filter(({ what }) => what.includes('pods/')),
    [],
  );
});

test('in a namespace that enforces "restricted", only a restricted Terminal gets a Pod', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t, { 'pod-security.kubernetes.io/enforce': 'restricted' });
  cluster.operator();
  await cluster.terminal('t', { ...nowhere, restricted: true, pipPackages: ['x'] });
  await cluster.status('t', ({ phase }) => phase === 'Pending');
  await cluster.terminal('open', nowhere);
  const status = await cluster.status('open', ({ phase }) => phase === 'Error');
  assert.equal(condition(status, 'Stalled'), 'True PodSecurityViolation');
});

test('another default of the operator reaches the next Pod, and labels the one that runs', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const before = cluster.operator();
  await runningTerminal(cluster);
  const first = await uid(cluster);
  await before.stop();
  const pods = {
    ...operatorDefaults.pods,
    labels: { team: 'ai' },
    tolerations: [{ key: 'a', operator: 'Exists' }],
  };
  cluster.operator({ defaults: { pods } });
  await until(async () => (await cluster.pod('t')).metadata.labels?.team === 'ai');
  assert.equal(await uid(cluster), first);
  await cluster.patch(terminals, 't', { spec: { env: { A: '1' } } });
  await until(async () => ![undefined, first].includes(await uid(cluster)));
  const { spec } = await cluster.pod('t');
  assert.ok(spec?.tolerations?.some(({ key }) => key === 'a'));
});
