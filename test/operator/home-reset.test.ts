/** Resets on a real API server. What a kubelet would say of the Pods is the tests' own to write. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Pod, pods, volumeClaims } from '../../src/kubernetes/objects.ts';
import { operatorDefaults } from '../../src/operator/defaults.ts';
import { keepAnnotation, resetAnnotation } from '../../src/operator/reset-request.ts';
import { terminals } from '../../src/operator/terminal-resource.ts';
import { withoutCluster } from '../engines.ts';
import { type Cluster, condition, nowhere, openCluster, pretendReady, until } from './cluster.ts';

const skip = await withoutCluster();

/** Asks for it as kubectl annotate would; resolves to the time that names it. */
async function ask(cluster: Cluster, keep?: string, at = new Date().toISOString()): Promise<string> {
  const annotations = { [resetAnnotation]: at, ...(keep === undefined ? {} : { [keepAnnotation]: keep }) };
  await cluster.patch(terminals, 't', { metadata: { annotations } });
  return at;
}

async function running(cluster: Cluster, spec: object = {}): Promise<void> {
  await cluster.terminal('t', { ...nowhere, ...spec });
  await until(async () => (await cluster.get(pods, 't')) !== undefined);
  await pretendReady(cluster, 't');
  await cluster.status('t', ({ phase }) => phase === 'Running');
}

/** The Pod that empties the home for that request. */
async function emptier(cluster: Cluster, at: string): Promise<Pod> {
  await until(async () => (await cluster.get(pods, 't'))?.metadata.annotations?.[resetAnnotation] === at);
  return cluster.pod('t');
}

async function end(cluster: Cluster, phase: 'Succeeded' | 'Failed', message = ''): Promise<void> {
  const terminated = { exitCode: phase === 'Failed' ? 1 : 0, message, reason: 'Error' };
  const containerStatuses = [
    { name: 'reset', image: 'x', imageID: '', ready: false, restartCount: 0, state: { terminated } },
  ];
  await cluster.patch(pods, 't', { status: { phase, containerStatuses } }, 'status');
}

const use = (cluster: Cluster) =>
  cluster.patch(terminals, 't', { status: { lastActivityAt: new Date().toISOString() } }, 'status');

test('the Pod goes, the home is emptied in its place, that is written, and then it is idle', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await running(cluster);
  const home = (await cluster.get(volumeClaims, 't-home'))?.metadata.uid;
  const at = await ask(cluster, '["notes"]');
  const pod = await emptier(cluster, at);
  assert.match(pod.spec?.containers[0]?.command?.at(-1) ?? '', /! -name 'notes'/);
  const status = await cluster.status('t', (now) => condition(now, 'Reconciling') === 'True Resetting');
  assert.equal(status.phase, 'Provisioning');
  assert.equal(status.lastResetAt, undefined);
  await end(cluster, 'Succeeded');
  await cluster.status('t', ({ phase, lastResetAt }) => phase === 'Idle' && lastResetAt === at);
  await until(async () => (await cluster.get(pods, 't')) === undefined);
  assert.equal((await cluster.get(volumeClaims, 't-home'))?.metadata.uid, home);

  await use(cluster);
  await until(async () => (await cluster.get(pods, 't')) !== undefined);
  assert.equal((await cluster.pod('t')).metadata.annotations?.[resetAnnotation], undefined);
});

test('who comes meanwhile waits, and gets a Pod as soon as it is done', { skip }, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await running(cluster);
  const at = await ask(cluster);
  await emptier(cluster, at);
  await use(cluster);
  await cluster.patch(terminals, 't', { spec: { env: { A: '1' } } });
  await cluster.status('t', ({ observedGeneration }) => observedGeneration === 2);
  assert.equal((await cluster.pod('t')).metadata.annotations?.[resetAnnotation], at);
  await end(cluster, 'Succeeded');
  await until(async () => {
    const pod = await cluster.get(pods, 't');
    return pod !== undefined && pod.metadata.annotations?.[resetAnnotation] === undefined;
  });
  await pretendReady(cluster, 't');
  await cluster.status('t', ({ phase, lastResetAt }) => phase === 'Running' && lastResetAt === at);
});

test('an operator that ends at any moment of it leaves nothing undone and does nothing twice', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  let operator = cluster.operator();
  await running(cluster);

  await t.test('asked for while there is none', async () => {
    await operator.stop();
    const at = await ask(cluster);
    operator = cluster.operator();
    await emptier(cluster, at);
  });

  await t.test('with the Pod at work', async () => {
    const uid = (await cluster.pod('t')).metadata.uid;
    await operator.stop();
    operator = cluster.operator();
    await operator.synced;
    await until(() => operator.state.leading && operator.state.queued === 0);
    assert.equal((await cluster.pod('t')).metadata.uid, uid, 'it goes on');
  });

  await t.test('with its work done and nothing written', async () => {
    const at = (await cluster.pod('t')).metadata.annotations?.[resetAnnotation];
    await operator.stop();
    await end(cluster, 'Succeeded');
    await use(cluster);
    operator = cluster.operator();
    await until(
      async () => (await cluster.get(pods, 't'))?.metadata.annotations?.[resetAnnotation] === undefined,
    );
    await cluster.status('t', ({ lastResetAt }) => lastResetAt === at);
  });

  await t.test('with it written and the Pod still there', async () => {
    await until(async () => (await cluster.get(pods, 't')) !== undefined);
    const at = await ask(cluster);
    await emptier(cluster, at);
    await operator.stop();
    await end(cluster, 'Succeeded');
    await cluster.patch(terminals, 't', { status: { lastResetAt: at } }, 'status');
    await use(cluster);
    operator = cluster.operator();
    // The next Pod is the terminal's own: no second one empties what its user makes now.
    await until(async () => {
      const pod = await cluster.get(pods, 't');
      return pod !== undefined && pod.metadata.annotations?.[resetAnnotation] === undefined;
    });
    await pretendReady(cluster, 't');
    await cluster.status('t', ({ phase, lastResetAt }) => phase === 'Running' && lastResetAt === at);
  });
});

test('two operators that both believe they lead empty it once', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const operators = [cluster.operator(), cluster.operator()];
  await running(cluster);
  const at = await ask(cluster);
  await emptier(cluster, at);
  await end(cluster, 'Succeeded');
  await cluster.status('t', ({ phase, lastResetAt }) => phase === 'Idle' && lastResetAt === at);
  await until(() => operators.every(({ state }) => state.queued === 0));
  await use(cluster);
  await until(async () => {
    const pod = await cluster.get(pods, 't');
    return pod !== undefined && pod.metadata.annotations?.[resetAnnotation] === undefined;
  });
});

test('what can not be removed is told and tried again, and nobody is let in before', { skip }, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await running(cluster);
  const at = await ask(cluster);
  const first = (await emptier(cluster, at)).metadata.uid;
  await end(cluster, 'Failed', 'first line\nrm: cannot remove file\n');
  const status = await cluster.status('t', ({ phase }) => phase === 'Error');
  assert.equal(condition(status, 'Stalled'), 'True ResetFailed');
  assert.match(status.message ?? '', /could not be emptied: rm: cannot remove file/);
  await use(cluster);
  await until(async () => ![undefined, first].includes((await cluster.get(pods, 't'))?.metadata.uid));
  await emptier(cluster, at);
  await end(cluster, 'Succeeded');
  await cluster.status('t', ({ lastResetAt }) => lastResetAt === at);
});

test('without persistence only the Pod goes', { skip }, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await running(cluster, { persistence: { enabled: false } });
  const at = await ask(cluster);
  await cluster.status('t', ({ phase, lastResetAt }) => phase === 'Idle' && lastResetAt === at);
  await until(async () => (await cluster.get(pods, 't')) === undefined);
});

test('a label that was configured, and is not any more, keeps no home from being emptied', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const labels = { 'openwebui.com/team': 'data' };
  const pods = { ...operatorDefaults.pods, labels };
  const before = cluster.operator({ defaults: { pods } });
  const podTemplate = { ...nowhere.podTemplate, metadata: { labels } };
  await running(cluster, { podTemplate });
  await before.stop();
  cluster.operator();
  await cluster.status('t', (now) => condition(now, 'Stalled') === 'True InvalidPodTemplate');
  const at = await ask(cluster);
  const { metadata } = await emptier(cluster, at);
  assert.equal(metadata.labels?.['openwebui.com/team'], undefined);
  await end(cluster, 'Succeeded');
  await cluster.status('t', ({ phase, lastResetAt }) => phase === 'Idle' && lastResetAt === at);
});

test('a list of what stays that can not be read removes nothing, and says so', { skip }, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await running(cluster);
  await ask(cluster, '["../other"]');
  const status = await cluster.status('t', ({ phase }) => phase === 'Error');
  assert.match(status.message ?? '', /openwebui\.com\/reset-keep is no JSON list/);
  assert.equal((await cluster.pod('t')).metadata.annotations?.[resetAnnotation], undefined);
  await use(cluster);
  await cluster.patch(terminals, 't', { metadata: { annotations: { [resetAnnotation]: null } } });
  await cluster.status('t', ({ phase }) => phase === 'Running');
});
