import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ImagePullError, StartFailedError, StartTimeoutError } from '../../../src/errors.ts';
import { pods, secrets, volumeClaims } from '../../../src/kubernetes/objects.ts';
import { terminals } from '../../../src/operator/terminal-resource.ts';
import { withoutCluster } from '../../engines.ts';
import { openCluster, until } from '../../operator/cluster.ts';
import {
  backendOn,
  keyOf,
  missingImage,
  never,
  operated,
  phases,
  pretendKubelet,
  running,
  setReady,
  silent,
} from './fixtures.ts';

const skip = await withoutCluster();

test('a first request declares the Terminal as the policy says, and waits until its Pod is ready', {
  skip,
}, async (t) => {
  const { cluster, backend, desired } = await operated(t);
  const progress: string[] = [];
  const persistence = { enabled: true, size: '3Gi' };
  const wanted = desired('Alice@example.org', { idleTimeoutMinutes: 7, persistence, env: { A: 'b' } });
  const terminal = await backend.create(wanted, (detail) => progress.push(detail), never);

  const resource = await cluster.get(terminals, wanted.name);
  assert.equal(resource?.spec.userId, 'Alice@example.org');
  assert.equal(resource.spec.idleTimeoutMinutes, 7);
  assert.deepEqual(resource.spec.persistence, { ...persistence, retain: false });
  assert.deepEqual(resource.spec.resources, {
    requests: { cpu: '100m', memory: '256Mi' },
    limits: { cpu: '1', memory: '1Gi' },
  });
  assert.deepEqual(resource.spec.podTemplate?.spec, { nodeSelector: { 'terminals-test': 'nowhere' } });
  const pod = await cluster.pod(wanted.name);
  assert.equal(pod.metadata.labels?.team, 'data');
  assert.deepEqual(terminal.address, { host: pod.status?.podIP, port: 8000 });
  assert.equal(terminal.apiKey, await cluster.key(wanted.name));
  assert.equal(terminal.revision, wanted.revision);
  assert.ok(progress.length > 0);
  assert.equal(resource.status?.lastActivityAt, undefined, 'a new one need not be woken');
});

test('what is known comes from the caches: nothing is asked of the API server for a request', {
  skip,
}, async (t) => {
  const { backend, desired, requests } = await operated(t);
  const wanted = desired('alice');
  await backend.create(wanted, silent, never);
  const before = requests.length;
  for (let time = 0; time < 20; time += 1) {
    running(await backend.inspect(wanted.key, never));
    assert.equal((await backend.list(never)).length, 1);
    await backend.create(wanted, silent, never);
    await backend.update(wanted, never);
  }
  assert.deepEqual(requests.slice(before), []);
});

test('nobody is sent to a Pod that is not ready', { skip }, async (t) => {
  const { cluster, backend, desired, seen } = await operated(t);
  const wanted = desired('alice');
  await backend.create(wanted, silent, never);
  await setReady(cluster, wanted.name, false);
  await until(async () => (await backend.inspect(wanted.key, never))?.phase === 'Provisioning');
  const again = backend.start(wanted, silent, never);
  await setReady(cluster, wanted.name, true);
  running(await again);
  assert.deepEqual(phases(seen, 'alice').slice(-3), ['Running', 'Provisioning', 'Running']);
});

test('an image that can not be pulled fails the request at once, with what the node says', {
  skip,
}, async (t) => {
  const { backend, desired } = await operated(t);
  const wanted = desired('alice', { image: missingImage, startTimeoutSeconds: 600 });
  const start = performance.now();
  await assert.rejects(
    backend.create(wanted, silent, never),
    (error) => error instanceof ImagePullError && /no such image: localhost\/missing:1/.test(error.message),
  );
  assert.ok(performance.now() - start < 15_000);

  await t.test('and runs once the policy names another', async () => {
    running(await backend.replace(desired('alice'), silent, never));
  });
});

test('what the cluster refuses is said in its words', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const { backend, desired } = backendOn(t, cluster);
  await assert.rejects(
    backend.create(desired('u'.repeat(600)), silent, never),
    (error) => error instanceof StartFailedError && /spec\.userId.*512/.test(error.message),
  );
});

test('without an operator a start ends with a word on what it waits for', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const { backend, desired } = backendOn(t, cluster);
  const soon = AbortSignal.timeout(200);
  await assert.rejects(backend.create(desired('alice'), silent, soon), { name: 'TimeoutError' });
  const details: string[] = [];
  const waiting = backend.create(
    { ...desired('alice'), startTimeoutMs: -24_800 },
    (detail) => details.push(detail),
    never,
  );
  await assert.rejects(waiting, (error) => error instanceof StartTimeoutError);
  assert.deepEqual(details, ['it waits for the operator']);
});

test('a stopped terminal keeps its home and its key, and comes back with both', { skip }, async (t) => {
  const { cluster, backend, desired, seen } = await operated(t);
  const wanted = desired('alice', { idleTimeoutMinutes: 0 });
  const before = await backend.create(wanted, silent, never);
  const pod = (await cluster.pod(wanted.name)).metadata.uid;
  const home = (await cluster.get(volumeClaims, `${wanted.name}-home`))?.metadata.uid;

  await backend.stop(wanted.key, never);
  assert.equal((await backend.inspect(wanted.key, never))?.phase, 'Idle');
  await until(async () => (await cluster.get(pods, wanted.name)) === undefined);
  await backend.stop(wanted.key, never);

  const after = await backend.start(wanted, silent, never);
  assert.notEqual((await cluster.pod(wanted.name)).metadata.uid, pod);
  assert.equal(after.apiKey, before.apiKey);
  assert.equal((await cluster.get(volumeClaims, `${wanted.name}-home`))?.metadata.uid, home);
  assert.ok(phases(seen, 'alice').includes('Idle'));

  await t.test('also when it is taken away to be made anew (refresh)', async () => {
    await backend.remove(wanted.key, { files: false }, never);
    running(await backend.create(wanted, silent, never));
    assert.equal((await cluster.get(volumeClaims, `${wanted.name}-home`))?.metadata.uid, home);
  });
});

test('another workload gives it another Pod, and no orchestrator sends anybody to the old one', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const one = backendOn(t, cluster);
  const other = backendOn(t, cluster);
  cluster.operator();
  pretendKubelet(t, cluster);
  const before = await one.backend.create(one.desired('alice'), silent, never);
  await other.backend.list(never);
  const wanted = one.desired('alice', { env: { A: 'b' } });
  const after = await one.backend.replace(wanted, silent, never);
  assert.notEqual(after.address.host, before.address.host);
  assert.equal(after.apiKey, before.apiKey);
  await until(
    () =>
      phases(other.seen, 'alice').at(-1) === 'Running' &&
      other.seen.at(-1)?.[1]?.revision === wanted.revision,
  );
  for (const [, actual] of other.seen) {
    if (actual?.phase !== 'Running') continue;
    const pod = actual.revision === wanted.revision ? after : before;
    assert.equal(actual.address.host, pod.address.host);
  }
  assert.equal((await cluster.get(terminals, wanted.name))?.metadata.generation, 2);
});

test('limits and settings change in place, and a workload that waits for its time stays', {
  skip,
}, async (t) => {
  const { cluster, backend, desired } = await operated(t);
  const first = desired('alice');
  await backend.create(first, silent, never);
  const wanted = desired('alice', {
    env: { A: 'b' },
    idleTimeoutMinutes: 3,
    persistence: { enabled: true, size: '2Gi' },
    resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { cpu: '2', memory: '2Gi', pids: 9 } },
  });
  const actual = await backend.update(wanted, never);
  assert.deepEqual(actual.limits, { cpuMillis: 2000, memoryBytes: 2 * 2 ** 30 });
  assert.equal(actual.revision, first.revision);
  assert.equal(running(actual).idleTimeoutMs, 180_000);
  const resource = await cluster.get(terminals, first.name);
  assert.deepEqual(resource?.spec.env, {});
  assert.equal(resource?.spec.persistence.size, '2Gi');
  await until(async () => (await cluster.get(terminals, first.name))?.status?.observedGeneration === 2);

  await t.test('a suspended policy changes nothing but that it is suspended', async () => {
    await backend.update({ ...desired('alice', { idleTimeoutMinutes: 99 }), suspended: true }, never);
    const suspended = await cluster.get(terminals, first.name);
    assert.deepEqual([suspended?.spec.suspend, suspended?.spec.idleTimeoutMinutes], [true, 3]);
  });
});

test('deleted with its files, it is made anew with another key and home', { skip }, async (t) => {
  const { cluster, backend, desired, seen } = await operated(t);
  const wanted = desired('alice');
  await backend.create(wanted, silent, never);
  const uid = (await cluster.get(terminals, wanted.name))?.metadata.uid;
  await backend.remove(wanted.key, { files: true }, never);
  assert.equal(await backend.inspect(wanted.key, never), undefined);
  assert.equal(phases(seen, 'alice').at(-1), 'gone');
  await backend.remove(wanted.key, { files: true }, never);

  await backend.create(wanted, silent, never);
  assert.notEqual((await cluster.get(terminals, wanted.name))?.metadata.uid, uid);
  const secret = await cluster.get(secrets, `${wanted.name}-key`);
  assert.equal(
    secret?.metadata.ownerReferences?.[0]?.uid,
    (await cluster.get(terminals, wanted.name))?.metadata.uid,
  );
});

test('two orchestrators that are asked for the same user at once make one terminal', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const backends = [backendOn(t, cluster), backendOn(t, cluster)];
  cluster.operator();
  pretendKubelet(t, cluster);
  const users = ['a', 'b', 'c', 'd', 'e'];
  const made = await Promise.all(
    users.flatMap((user) =>
      backends.flatMap(({ backend, desired }) =>
        [1, 2].map(() => backend.create(desired(user), silent, never)),
      ),
    ),
  );
  const distinct = new Set(made.map(({ name, apiKey, address }) => `${name} ${apiKey} ${address.host}`));
  assert.equal(distinct.size, users.length);
  for (const { backend } of backends) assert.equal((await backend.list(never)).length, users.length);
});

test('by the name of its Service, where Pods can not be reached', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const { backend, desired } = backendOn(t, cluster, { address: 'service' });
  cluster.operator();
  pretendKubelet(t, cluster);
  const { address } = await backend.create(desired('alice'), silent, never);
  assert.deepEqual(address, { host: `terminals-default-alice.${cluster.namespace}.svc`, port: 8000 });
});

test("somebody's own Terminal is left alone", { skip }, async (t) => {
  const cluster = await openCluster(t);
  const { backend, desired } = backendOn(t, cluster);
  await cluster.terminal('by-hand', { userId: 'alice' });
  assert.deepEqual(await backend.list(never), []);
  await cluster.terminal(desired('bob').name, { userId: 'bob' });
  await until(async () => (await backend.list(never)).length === 1);
  assert.equal((await backend.inspect(keyOf('bob'), never))?.revision, '');
});
