/** The objects around a Terminal, against a real API server; no node is needed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../../src/kubernetes/objects.ts';
import {
  networkPolicies,
  pathOf,
  pods,
  type Resource,
  secrets,
  services,
  volumeClaims,
} from '../../src/kubernetes/objects.ts';
import { terminals } from '../../src/operator/terminal-resource.ts';
import { withoutCluster } from '../engines.ts';
import { condition, nowhere, openCluster, until } from './cluster.ts';

const skip = await withoutCluster();

/** Every child of a Terminal `t` and what it is called. */
const children: readonly (readonly [Resource<KubeObject>, string])[] = [
  [pods, 't'],
  [services, 't'],
  [secrets, 't-key'],
  [volumeClaims, 't-home'],
  [networkPolicies, 't'],
];

test('a Terminal gets a Pod, a Service, a Secret, a home and a NetworkPolicy, all owned by it', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  const { metadata } = await cluster.terminal('t', { ...nowhere, persistence: { size: '3Gi' } });
  await cluster.status('t', ({ phase }) => phase === 'Pending');
  for (const [resource, name] of children) {
    const child = await cluster.get(resource, name);
    assert.equal(child?.metadata.ownerReferences?.[0]?.uid, metadata.uid, `${resource.kind} ${name}`);
    assert.equal(child?.metadata.labels?.['app.kubernetes.io/managed-by'], 'terminals');
  }
  const home = await cluster.get(volumeClaims, 't-home');
  assert.equal(home?.spec?.resources?.requests?.storage, '3Gi');
  assert.equal(Buffer.from(await cluster.key('t'), 'base64url').length, 32);
});

test('a deleted Terminal leaves nothing behind', { skip }, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await cluster.terminal('t', nowhere);
  await cluster.status('t', ({ phase }) => phase === 'Pending');
  await cluster.remove(terminals, 't');
  for (const [resource, name] of children) {
    await until(
      async () => (await cluster.get(resource, name)) === undefined,
      30_000,
      () => `${resource.kind} ${name}`,
    );
  }
});

test('a retained home outlives its Terminal, and one of the same name and user finds it again', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  const spec = { ...nowhere, persistence: { retain: true } };
  await cluster.terminal('t', spec);
  await cluster.status('t', ({ phase }) => phase === 'Pending');
  const home = await cluster.get(volumeClaims, 't-home');
  assert.equal(home?.metadata.ownerReferences, undefined);
  await cluster.remove(terminals, 't');
  await until(async () => (await cluster.get(secrets, 't-key')) === undefined, 30_000);
  await cluster.terminal('t', spec);
  await cluster.status('t', ({ phase }) => phase === 'Pending');
  assert.equal((await cluster.get(volumeClaims, 't-home'))?.metadata.uid, home?.metadata.uid);

  await cluster.remove(terminals, 't');
  await until(async () => (await cluster.get(terminals, 't')) === undefined);
  await cluster.terminal('t', { ...spec, userId: 'somebody-else' });
  const status = await cluster.status('t', (now) => condition(now, 'Stalled') === 'True NameCollision');
  assert.match(status.message ?? '', /PersistentVolumeClaim "t-home"/);
});

test('an edited Service is put right, a port that somebody added too', { skip }, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await cluster.terminal('t', nowhere);
  await cluster.status('t', ({ phase }) => phase === 'Pending');
  const ports = [
    { name: 'http', port: 9999, targetPort: 1 },
    { name: 'more', port: 1234 },
  ];
  await cluster.patch(services, 't', {
    spec: { selector: { app: 'evil' }, ports },
    metadata: { labels: null },
  });
  await until(async () => {
    const service = await cluster.get(services, 't');
    return (
      service?.spec?.selector?.app === undefined &&
      service?.spec?.selector?.['app.kubernetes.io/instance'] === 't' &&
      service?.metadata.labels?.['app.kubernetes.io/instance'] === 't' &&
      JSON.stringify(service.spec.ports?.map(({ port }) => port)) === '[8000]'
    );
  });
});

const foreign: readonly (readonly [Resource<KubeObject>, string, object])[] = [
  [services, 't', { spec: { ports: [{ port: 80 }] } }],
  [secrets, 't-key', { data: { 'api-key': 'Zm9yZWlnbg==' } }],
  [
    volumeClaims,
    't-home',
    { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } },
  ],
  [pods, 't', { spec: { nodeSelector: { a: 'b' }, containers: [{ name: 'terminal', image: 'foreign' }] } }],
];

for (const [resource, name, fields] of foreign) {
  test(`a foreign ${resource.kind} of the same name is reported and left exactly as it is`, {
    skip,
  }, async (t) => {
    const cluster = await openCluster(t);
    cluster.operator();
    await cluster.apply(resource, name, fields);
    await cluster.terminal('t', nowhere);
    const status = await cluster.status('t', (now) => condition(now, 'Stalled') === 'True NameCollision');
    assert.equal(status.phase, 'Error');
    assert.match(status.message ?? '', new RegExp(`${resource.kind} "${name}".*left as it is`));
    const now = await cluster.get(resource, name);
    assert.equal(now?.metadata.ownerReferences, undefined);
    assert.equal(now?.metadata.labels, undefined);
    if (resource.kind !== 'Pod') assert.equal(await cluster.get(pods, 't'), undefined);
    // Once it is out of the way, the Terminal is made.
    await cluster.remove(resource, name);
    await cluster.status('t', ({ phase }) => phase === 'Pending', 30_000);
  });
}

interface StorageClass extends KubeObject {
  readonly provisioner: string;
  readonly allowVolumeExpansion: boolean;
}

const storageClasses: Resource<StorageClass> = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  plural: 'storageclasses',
};

test('a larger size is asked of the home at once where its class can grow', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const name = `growing-${cluster.namespace}`;
  const { apiVersion, kind } = storageClasses;
  const growing: StorageClass = {
    ...{ apiVersion, kind, metadata: { name } },
    provisioner: 'kubernetes.io/host-path',
    allowVolumeExpansion: true,
  };
  await cluster.client.apply(storageClasses, growing, { manager: 'terminals-test', force: true });
  try {
    cluster.operator();
    await cluster.terminal('t', { ...nowhere, persistence: { size: '1Gi', storageClass: name } });
    const home = () => cluster.get(volumeClaims, 't-home');
    await until(async () => (await home())?.status?.phase === 'Bound', 60_000);
    const before = await home();
    await cluster.patch(terminals, 't', { spec: { persistence: { size: '2Gi' } } });
    await until(async () => (await home())?.spec?.resources?.requests?.storage === '2Gi');
    assert.equal((await home())?.metadata.uid, before?.metadata.uid);
    const status = await cluster.status('t', ({ observedGeneration }) => observedGeneration === 2);
    assert.doesNotMatch(status.message ?? '', /keeps its size/);
  } finally {
    await cluster.client.request('DELETE', pathOf(storageClasses, undefined, name), {});
  }
});

test('a larger size than the class of the home allows is said, and the rest goes on', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await cluster.terminal('t', nowhere);
  await cluster.status('t', ({ phase }) => phase === 'Pending');
  await until(async () => (await cluster.get(volumeClaims, 't-home'))?.status?.phase === 'Bound');
  await cluster.patch(terminals, 't', { spec: { persistence: { size: '2Gi' } } });
  const status = await cluster.status('t', ({ message }) => message?.includes('keeps its size') ?? false);
  assert.match(status.message ?? '', /storageclass/i);
  assert.equal(status.phase, 'Pending');
});
