/** Several orchestrators on one API server: one rollout, one knowledge of revisions, and nobody waits when one of them dies. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Peers } from '../../../src/backend/backend.ts';
import { KubernetesBackend } from '../../../src/backend/kubernetes/kubernetes-backend.ts';
import { KubeClient } from '../../../src/kubernetes/client.ts';
import { Informer } from '../../../src/kubernetes/informer.ts';
import { leases } from '../../../src/kubernetes/leader.ts';
import { configMaps, type Pod, pods } from '../../../src/kubernetes/objects.ts';
import { requestAnnotation } from '../../../src/kubernetes/reconcile-request.ts';
import { type TerminalResource, terminals } from '../../../src/operator/terminal-resource.ts';
import type { PolicySpec } from '../../../src/policy/policy.ts';
import { Reconciler } from '../../../src/reconcile/reconciler.ts';
import { Templates } from '../../../src/reconcile/templates.ts';
import { withoutCluster } from '../../engines.ts';
import { type Cluster, kubeConfig, openCluster, quiet, until } from '../../operator/cluster.ts';
import { MemoryPolicies, patient, policyOf } from '../../reconcile/harness.ts';
import { steady } from '../../terminal/fixtures.ts';
import { keyOf, missingImage, pretendKubelet } from './fixtures.ts';

const skip = await withoutCluster();
const lease = 'web-terminals-orchestrator';
const users = ['alice', 'bob', 'carol', 'dave'];
const [one, two] = ['open-terminal:1', 'open-terminal:2'];
const times = { leaseMs: 10_000, renewWithinMs: 8_000, retryMs: 200 };

function policy(image: string, changes: Partial<PolicySpec['rollout']> = {}) {
  return policyOf({
    image,
    idleTimeoutMinutes: 0,
    rollout: { ...steady, when: 'now', idleAfterMinutes: 0, ...changes },
  });
}

/** Reaches the API server until it is unplugged. */
class PluggedClient extends KubeClient {
  #plugged = true;

  unplug(): void {
    this.#plugged = false;
  }

  override request<T>(...args: Parameters<KubeClient['request']>): Promise<T> {
    return this.#plugged ? super.request<T>(...args) : Promise.reject(new Error('unplugged'));
  }
}

interface Process {
  readonly reconciler: Reconciler;
  readonly policies: MemoryPolicies;
  readonly leads: boolean;
  readonly peers: Peers;
  /** As after a kill: the Lease is not given back, and what was under way is left as it is. */
  kill(): void;
  close(): Promise<void>;
}

async function begin(t: TestContext, cluster: Cluster, identity: string, image = one): Promise<Process> {
  const client = new PluggedClient(kubeConfig());
  const backend = new KubernetesBackend({
    ...{ client, namespace: cluster.namespace, address: 'pod', log: quiet },
    pods: {
      ...{ labels: {}, nodeSelector: { 'terminals-test': 'nowhere' }, tolerations: [], restricted: false },
      ...{ podSecurityContext: {}, containerSecurityContext: {} },
    },
    replicas: { name: lease, identity, ...times },
  });
  const policies = new MemoryPolicies(policy(image));
  const reconciler = new Reconciler({
    ...{ backend, policies, log: quiet, templates: new Templates(backend.platform) },
    ...{ activity: backend.activity, revisions: backend.revisions },
  });
  await reconciler.start();
  let closed: Promise<void> | null = null;
  const close = () => {
    closed ??= reconciler.close().then(() => backend.close());
    return closed;
  };
  t.after(close);
  return {
    ...{ reconciler, policies, close, kill: () => client.unplug(), peers: backend.peers },
    get leads() {
      return backend.peers.leads;
    },
  };
}

interface Pair {
  readonly cluster: Cluster;
  readonly leader: Process;
  readonly other: Process;
  /** Images of the users' terminals that run. */
  images(): readonly (string | undefined)[];
  /** Images in the order in which Terminals were given them since the pair began. */
  readonly given: { readonly user: string; readonly image: string }[];
  /** How many of the users' Pods were not ready at a time, at most, since then. */
  missing(): number;
  edit(next: ReturnType<typeof policy>): void;
}

async function pair(t: TestContext, startMs = 150): Promise<Pair> {
  const cluster = await openCluster(t);
  cluster.operator();
  pretendKubelet(t, cluster, startMs);
  const processes = [await begin(t, cluster, 'a'), await begin(t, cluster, 'b')];
  await until(() => processes.some(({ leads }) => leads));
  const leader = processes.find(({ leads }) => leads);
  const other = processes.find(({ leads }) => !leads);
  assert.ok(leader && other);
  await Promise.all(
    users.map((user, at) => (at % 2 ? leader : other).reconciler.reach(keyOf(user), patient)),
  );

  const { client, namespace } = cluster;
  const watch = new Informer<TerminalResource>({ client, namespace, log: quiet, resource: terminals });
  const stopping = new AbortController();
  t.after(() => stopping.abort());
  const given: Pair['given'] = [];
  const runs = ({ metadata, status }: TerminalResource) =>
    status?.phase === 'Running' && status.observedGeneration === metadata.generation;
  const own = () => [...watch.values()].filter(({ spec }) => users.includes(spec.userId));
  watch.onChange((now, before) => {
    if (now !== undefined && before !== undefined && now.spec.image !== before.spec.image)
      given.push({ user: now.spec.userId, image: now.spec.image });
  });
  void watch.run(stopping.signal);
  await until(() => own().length === users.length && own().every(runs));

  const made = new Informer<Pod>({ client, namespace, log: quiet, resource: pods });
  const ready = () => [...made.values()].filter(isReady).length;
  let most = 0;
  made.onChange(() => {
    if (made.hasSynced) most = Math.max(most, users.length - ready());
  });
  void made.run(stopping.signal);
  await until(() => ready() === users.length);
  return {
    ...{ cluster, leader, other, given, missing: () => most },
    images: () => own().map((terminal) => (runs(terminal) ? terminal.spec.image : undefined)),
    edit(next) {
      for (const { policies } of [leader, other]) policies.edit(next);
    },
  };
}

function isReady({ metadata, status }: Pod): boolean {
  const ready = status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True');
  return ready === true && metadata.deletionTimestamp === undefined;
}

const all = (images: readonly unknown[], image: string) => images.every((one) => one === image);

test('one edit is one rollout: one terminal first, then so many as may be missing', { skip }, async (t) => {
  const { leader, other, edit, images, given, missing, cluster } = await pair(t);
  edit(policy(two, { maxUnavailable: 1 }));
  await until(
    () => all(images(), two),
    30_000,
    () => JSON.stringify(given),
  );
  assert.deepEqual(given.map(({ user }) => user).sort(), users, 'each was given it once');
  assert.equal(missing(), 1);
  const good = [leader, other].map(({ reconciler }) => reconciler.rollouts.stateOf(policy(two)));
  assert.ok(good.every(({ proven }) => proven));
  const map = await cluster.get(configMaps, lease);
  assert.equal(JSON.parse(map?.data?.default ?? '{}').good?.image, two);
});

test('a bad image stalls at all replicas, each keeps giving the last good one, and a restart keeps the stall', {
  skip,
}, async (t) => {
  const { cluster, leader, other, edit, images, given } = await pair(t);
  const broken = policy(missingImage);
  edit(broken);
  const stalled = ({ reconciler }: Process) => reconciler.rollouts.stateOf(broken).stalled;
  await until(() => [leader, other].every((process) => stalled(process) !== null), 30_000);
  await until(
    () => all(images(), one),
    30_000,
    () => JSON.stringify(images()),
  );
  assert.deepEqual(stalled(leader), stalled(other));
  assert.match(stalled(other)?.reason ?? '', /image/i);
  const tried = given.filter(({ image }) => image === missingImage).length;
  assert.equal(tried, 3, 'as many as pauseOnFailures says, of both together');
  for (const [index, { reconciler }] of [leader, other].entries())
    await reconciler.reach(keyOf(`new${index}`), patient);
  const made = await cluster.get(terminals, 'terminals-default-new1');
  assert.equal(made?.spec.image, one);

  await Promise.all([leader.close(), other.close()]);
  const next = await begin(t, cluster, 'c', missingImage);
  const last = await begin(t, cluster, 'd', missingImage);
  await until(() => next.leads || last.leads);
  for (const process of [next, last]) assert.match(stalled(process)?.reason ?? '', /image/i);
  await next.reconciler.reach(keyOf('new2'), patient);
  assert.equal((await cluster.get(terminals, 'terminals-default-new2'))?.spec.image, one);
  assert.equal(given.filter(({ image }) => image === missingImage).length, tried);

  await t.test('until somebody retries, at whichever replica', async () => {
    const follower = next.leads ? last : next;
    follower.reconciler.rollouts.retry(broken.id);
    await until(() => given.filter(({ image }) => image === missingImage).length > tried);
    await until(() => [next, last].every((process) => stalled(process) !== null), 30_000);
  });
});

test('the leader is killed in the middle of a rollout: the other takes over, and all arrive', {
  skip,
}, async (t) => {
  const { cluster, leader, other, edit, images, given, missing } = await pair(t, 400);
  edit(policy(two, { maxUnavailable: 1 }));
  await until(() => given.length === 2);
  leader.kill();
  await until(() => other.leads, 30_000);
  assert.ok(!leader.leads);
  await until(
    () => all(images(), two),
    30_000,
    () => JSON.stringify(images()),
  );
  assert.deepEqual(given.map(({ user }) => user).sort(), users);
  assert.equal(missing(), 1);
  assert.equal((await cluster.get(leases, lease))?.spec?.leaseTransitions, 1);
});

test('one that asks the others for a look is heard by each of them, and not by itself', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const heard: string[] = [];
  const [a, b] = [await begin(t, cluster, 'a'), await begin(t, cluster, 'b')];
  a.peers.onAsked(() => heard.push('a'));
  b.peers.onAsked(() => heard.push('b'));
  a.peers.ask();
  await until(async () => (await cluster.get(configMaps, lease)) !== undefined);
  // The first request of all makes the ConfigMap.
  await until(() => heard.length === 1);
  b.peers.ask();
  await until(() => heard.length === 2);
  assert.deepEqual(heard, ['b', 'a']);
  await cluster.patch(configMaps, lease, { metadata: { annotations: { [requestAnnotation]: 'by hand' } } });
  await until(() => heard.length === 4);
});

test('with nobody at work, an edit reaches the next user at whichever replica', { skip }, async (t) => {
  const { cluster, other, edit, given } = await pair(t);
  edit(policy(two, { when: 'nextStart' }));
  await other.reconciler.reach(keyOf('eve'), patient);
  assert.equal((await cluster.get(terminals, 'terminals-default-eve'))?.spec.image, two);
  await until(() => other.reconciler.rollouts.stateOf(policy(two)).proven);
  assert.deepEqual(given, [], 'who has a terminal keeps it');
});
