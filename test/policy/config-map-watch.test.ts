import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { after, test } from 'node:test';
import { KubeClient } from '../../src/kubernetes/client.ts';
import { configMaps, events, type KubeObject, pathOf } from '../../src/kubernetes/objects.ts';
import { builtinPolicy } from '../../src/policy/builtin.ts';
import { ConfigMapSource } from '../../src/policy/config-map.ts';
import { statusAnnotation } from '../../src/policy/config-map-report.ts';
import { PolicyStore } from '../../src/policy/store.ts';
import { withoutCluster } from '../engines.ts';
import { type Cluster, kubeConfig, openCluster, quiet, until } from '../operator/cluster.ts';
import { proxyToCluster } from '../operator/proxy.ts';

const skip = await withoutCluster();
const stopping = new AbortController();
after(() => stopping.abort());

function policy(name: string, spec: string): string {
  return `apiVersion: terminals.openwebui.com/v1alpha1\nkind: Policy\nmetadata: {name: ${name}}\nspec: ${spec}\n`;
}

function connectTo({ namespace }: Cluster, config = kubeConfig()) {
  return async () => ({ client: new KubeClient(config), namespace });
}

async function storeOn(cluster: Cluster, from: string, config = kubeConfig()) {
  const source = new ConfigMapSource({ from, connect: connectTo(cluster, config), log: quiet });
  const store = new PolicyStore({
    source,
    rules: {
      defaults: {},
      builtin: builtinPolicy({ image: 'builtin:1' }),
      maxCpuMillis: null,
      maxMemoryBytes: null,
      allowedImages: [],
      mode: 'run',
    },
    log: quiet,
  });
  const changes: string[] = [];
  store.onChange((next) => changes.push(next.revision));
  await store.start(stopping.signal);
  const names = () => [...store.current.policies.keys()];
  const image = (name: string) =>
    [...store.current.policies.values()].find(({ id }) => id === name)?.spec.image;
  return { store, source, changes, names, image };
}

/** As somebody who applies it; labels and annotations beside the data. */
function put(cluster: Cluster, name: string, data: Record<string, string>, metadata: object = {}) {
  return cluster.apply(configMaps, name, { metadata, data });
}

async function status(cluster: Cluster, name: string): Promise<{ policies: string[]; problems: string[] }> {
  const map = await cluster.get(configMaps, name);
  return JSON.parse(map?.metadata.annotations?.[statusAnnotation] ?? '{}');
}

async function eventsOf(t: TestContext, cluster: Cluster, name: string): Promise<readonly string[]> {
  const path = pathOf(events, cluster.namespace);
  const query = { fieldSelector: `involvedObject.name=${name}` };
  const list: { items: readonly (KubeObject & { reason: string; message: string })[] } =
    await cluster.client.request('GET', path, { query });
  t.diagnostic(`${list.items.length} events`);
  return list.items.map(({ reason, message }) => `${reason}: ${message}`);
}

test('an edit is in force at once; a pruned key is a removed policy', { skip }, async (t) => {
  const cluster = await openCluster(t);
  await put(cluster, 'policies', {
    'a.yaml': policy('a', '{image: "a:1"}'),
    'b.yml': policy('b', '{}'),
    'README.md': 'not a policy',
  });
  const { names, image, changes, store } = await storeOn(cluster, 'policies');
  assert.deepEqual(names(), ['a', 'b', 'default']);
  assert.equal(store.current.policies.values().next().value?.declaredAt.file, 'configmap/policies/a.yaml');
  await put(cluster, 'policies', { 'a.yaml': policy('a', '{image: "a:2"}') });
  await until(() => image('a') === 'a:2');
  assert.deepEqual(names(), ['a', 'default']);
  assert.equal(changes.length, 1);
});

test('the observed revision is the resourceVersion, of several ConfigMaps each with its name', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  await put(cluster, 'one', { 'a.yaml': policy('a', '{}') }, { labels: { team: 'x' } });
  const version = async (name: string) => (await cluster.get(configMaps, name))?.metadata.resourceVersion;
  const first = await version('one');
  const { store, image } = await storeOn(cluster, 'one');
  assert.equal(store.current.source, first);
  await put(cluster, 'one', { 'a.yaml': policy('a', '{image: "a:2"}') }, { labels: { team: 'x' } });
  await until(() => image('a') === 'a:2');
  assert.notEqual(store.current.source, first);
  assert.match(store.current.source ?? '', /^\d+$/);

  await put(cluster, 'two', { 'b.yaml': policy('b', '{}') }, { labels: { team: 'x' } });
  const both = await storeOn(cluster, 'team=x');
  assert.match(both.store.current.source ?? '', /^one:\d+,two:\d+$/);
});

test('what holds of a policy is an Event on the ConfigMap that declares it', { skip }, async (t) => {
  const cluster = await openCluster(t);
  await put(cluster, 'one', { 'a.yaml': policy('a', '{}') }, { labels: { team: 'y' } });
  await put(cluster, 'two', { 'b.yaml': policy('b', '{}') }, { labels: { team: 'y' } });
  const { store, source } = await storeOn(cluster, 'team=y');
  const ids = [...store.current.policies.keys()];
  const b = ids.find((id) => id === 'b') ?? assert.fail();
  const message = 'terminals-b-alice: no such module';
  const stalled = { type: 'Stalled', reason: 'RolloutFailed', message, lastTransitionTime: '' } as const;
  await until(async () => {
    source.announce(new Map([[b, stalled]]));
    return (await eventsOf(t, cluster, 'two')).length > 0;
  });
  assert.deepEqual(await eventsOf(t, cluster, 'two'), [
    'RolloutFailed: policy b is Stalled: terminals-b-alice: no such module',
  ]);
  assert.deepEqual(await eventsOf(t, cluster, 'one'), []);
});

test('labels and annotations, as Argo CD and Flux write them, are no change', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const data = { 'a.yaml': policy('a', '{image: "a:1"}') };
  await put(cluster, 'policies', data);
  const source = new ConfigMapSource({ from: 'policies', connect: connectTo(cluster), log: quiet });
  let told = 0;
  source.watch(() => {
    told += 1;
  }, stopping.signal);
  await until(() => told === 1);
  const labels = {
    'kustomize.toolkit.fluxcd.io/name': 'policies',
    'argocd.argoproj.io/instance': 'policies',
  };
  await put(cluster, 'policies', data, { labels, annotations: { 'argocd.argoproj.io/tracking-id': 'x' } });
  await put(cluster, 'policies', { 'a.yaml': policy('a', '{image: "a:2"}') }, { labels });
  await until(() => told > 1);
  assert.deepEqual(await source.read(), [
    { path: 'configmap/policies/a.yaml', text: policy('a', '{image: "a:2"}') },
  ]);
  assert.equal(told, 2);
});

test('what is broken stays as it was, and the ConfigMap says what is wrong', { skip }, async (t) => {
  const cluster = await openCluster(t);
  await put(cluster, 'policies', { 'a.yaml': policy('a', '{image: "a:1"}'), 'b.yaml': policy('b', '{}') });
  const { names, image } = await storeOn(cluster, 'policies');
  await until(async () => (await status(cluster, 'policies')).policies?.join() === 'a,b');
  await put(cluster, 'policies', {
    'a.yaml': policy('a', '{image: 7}'),
    'b.yaml': policy('b', '{image: "b:2"}'),
  });
  await until(() => image('b') === 'b:2');
  assert.equal(image('a'), 'a:1');
  assert.deepEqual(names(), ['a', 'b', 'default']);
  await until(async () => (await status(cluster, 'policies')).problems.length === 1);
  const [problem] = (await status(cluster, 'policies')).problems;
  assert.match(problem ?? '', /^a\.yaml:4:\d+: error: spec\.image: this is the number 7, not a text/);
  await until(async () => (await eventsOf(t, cluster, 'policies')).length === 1);
  assert.match((await eventsOf(t, cluster, 'policies'))[0] ?? '', /^PolicyProblem: a\.yaml:4/);

  await t.test('and that it is mended', async () => {
    await put(cluster, 'policies', { 'a.yaml': policy('a', '{image: "a:3"}') });
    await until(async () => (await status(cluster, 'policies')).problems.length === 0);
    await until(async () =>
      (await eventsOf(t, cluster, 'policies')).some((event) => event.startsWith('PoliciesLoaded')),
    );
  });
});

test('by a label selector, several ConfigMaps are one set', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const metadata = { labels: { 'terminals.openwebui.com/policies': 'true' } };
  await put(cluster, 'one', { 'a.yaml': policy('a', '{}') }, metadata);
  await put(cluster, 'unlabelled', { 'x.yaml': policy('x', '{}') });
  const { names } = await storeOn(cluster, 'terminals.openwebui.com/policies=true');
  assert.deepEqual(names(), ['a', 'default']);
  await put(cluster, 'two', { 'b.yaml': policy('b', '{}') }, metadata);
  await until(() => names().join() === 'a,b,default');
  await cluster.remove(configMaps, 'one');
  await until(() => names().join() === 'b,default');
});

test('a ConfigMap that is deleted takes no policy with it', { skip }, async (t) => {
  const cluster = await openCluster(t);
  await put(cluster, 'policies', { 'a.yaml': policy('a', '{}') });
  const { names, store } = await storeOn(cluster, 'policies');
  await cluster.remove(configMaps, 'policies');
  await until(() => store.current.problems.some(({ message }) => /there is none/.test(message)));
  assert.deepEqual(names(), ['a', 'default']);
  await put(cluster, 'policies', { 'b.yaml': policy('b', '{}') });
  await until(() => names().join() === 'b,default');
});

test('one that comes only after the start is taken up then, and until it does no policy is in force', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const { names } = await storeOn(cluster, 'policies');
  assert.deepEqual(names(), []);
  await put(cluster, 'policies', { 'a.yaml': policy('a', '{}') });
  await until(() => names().join() === 'a,default');
});

test('an API server that goes away changes nothing; back again, it says what was changed', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const proxy = await proxyToCluster(t);
  await put(cluster, 'policies', { 'a.yaml': policy('a', '{image: "a:1"}') });
  const { names, image, store } = await storeOn(cluster, 'policies', proxy.kubeConfig);
  await until(() => names().join() === 'a,default');
  proxy.down();
  await store.reload();
  assert.equal(image('a'), 'a:1');
  await put(cluster, 'policies', { 'a.yaml': policy('a', '{image: "a:2"}') });
  proxy.up();
  await until(() => image('a') === 'a:2');
});

test('while an API server is away at the start no policy is in force, and it is taken up later', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const proxy = await proxyToCluster(t);
  await put(cluster, 'policies', { 'a.yaml': policy('a', '{}') });
  proxy.down();
  const { names, store } = await storeOn(cluster, 'policies', proxy.kubeConfig);
  assert.deepEqual(names(), []);
  assert.match(store.current.problems[0]?.message ?? '', /API server can't be asked/);
  proxy.up();
  await until(() => names().join() === 'a,default');
});
