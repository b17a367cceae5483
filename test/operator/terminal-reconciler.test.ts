/** One look at a Terminal on a real API server, by an operator that has heard nothing since it began. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Caches } from '../../src/operator/caches.ts';
import { operatorDefaults } from '../../src/operator/defaults.ts';
import { TerminalReconciler } from '../../src/operator/terminal-reconciler.ts';
import { terminals } from '../../src/operator/terminal-resource.ts';
import { withoutCluster } from '../engines.ts';
import {
  type Cluster,
  condition,
  nowhere,
  openCluster,
  pretendReady,
  quiet,
  recordWrites,
} from './cluster.ts';

const skip = await withoutCluster();

/** A Terminal `t` whose Pod is said to be Ready. */
async function runningTerminal(cluster: Cluster): Promise<void> {
  const operator = cluster.operator();
  await cluster.terminal('t', nowhere);
  await cluster.status('t', ({ phase }) => phase === 'Pending');
  await pretendReady(cluster, 't');
  await cluster.status('t', ({ phase }) => phase === 'Running');
  await operator.stop();
}

async function use(cluster: Cluster, at: Date): Promise<void> {
  await cluster.patch(terminals, 't', { status: { lastActivityAt: at.toISOString() } }, 'status');
}

/** The watches end once everything was listed: what comes later is not heard of. */
async function deaf(t: TestContext, { client, namespace }: Cluster) {
  const caches = new Caches({ client, namespace, networkPolicies: true, log: quiet });
  const listening = new AbortController();
  const running = caches.run(listening.signal);
  await caches.synced;
  listening.abort();
  await running;
  const events = { record: () => undefined, forget: () => undefined };
  const options = { client, caches, defaults: operatorDefaults, events, log: quiet };
  const reconciler = new TerminalReconciler(options);
  const look = () => reconciler.reconcile(`${namespace}/t`, t.signal);
  return { caches, look };
}

/** What was absorbed last is newer than what the API server has. */
let absorbed = 0n;

/** As one from a definition that had no bounds yet; the API server knows nothing of it. */
async function absorbWithoutMemory(caches: Caches, cluster: Cluster): Promise<void> {
  const terminal = await cluster.get(terminals, 't');
  assert.ok(terminal);
  const { metadata, spec } = terminal;
  absorbed += 100_000n;
  const later = { ...metadata, resourceVersion: `${BigInt(metadata.resourceVersion ?? 0) + absorbed}` };
  const { limits, requests } = spec.resources;
  const resources = { requests, limits: { ...limits, memory: '0' } };
  caches.terminals.absorb({ ...terminal, metadata: later, spec: { ...spec, resources } });
}

test('what a definition from before let through stalls with its place, and the Pod goes on', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  await runningTerminal(cluster);
  const { caches, look } = await deaf(t, cluster);
  await absorbWithoutMemory(caches, cluster);
  const outcome = await look();
  assert.equal(outcome.failed, true);
  const status = await cluster.status('t', (now) => condition(now, 'Stalled') === 'True InvalidSpec');
  assert.equal(status.phase, 'Running');
  assert.match(
    status.message ?? '',
    /spec\.resources\.limits\.memory: "0" is not a number of bytes above 0 \(write bytes such as 512Mi or 4Gi\)/,
  );
});

test('who came before it was said that it is idle, unheard, keeps the Pod', { skip }, async (t) => {
  const cluster = await openCluster(t);
  await runningTerminal(cluster);
  const first = (await cluster.pod('t')).metadata.uid;
  await use(cluster, new Date(Date.now() - 3_600_000));
  const { look } = await deaf(t, cluster);
  const used = new Date();
  await use(cluster, used);
  const { lookAgainAt } = await look();
  const status = await cluster.status('t', ({ phase }) => phase === 'Running');
  assert.equal(status.idleSince, undefined);
  assert.equal(lookAgainAt, used.getTime() + 30 * 60_000);
  const { metadata } = await cluster.pod('t');
  assert.deepEqual([metadata.uid, metadata.deletionTimestamp], [first, undefined]);
});

test('what there is to say of an idle Terminal is written once', { skip }, async (t) => {
  const cluster = await openCluster(t);
  await runningTerminal(cluster);
  await cluster.patch(terminals, 't', { spec: { persistence: { size: '512Mi' } } });
  await use(cluster, new Date(Date.now() - 3_600_000));
  const { look } = await deaf(t, cluster);
  await look();
  const { message } = await cluster.status('t', ({ phase }) => phase === 'Idle');
  assert.match(message ?? '', /1Gi/);
  const writes = recordWrites(t, cluster);
  await look();
  assert.deepEqual(writes, []);
});

test('an idle Terminal that nothing can be made of is Stalled since it was, however often it is looked at', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  await runningTerminal(cluster);
  await use(cluster, new Date(Date.now() - 3_600_000));
  const { caches, look } = await deaf(t, cluster);
  await absorbWithoutMemory(caches, cluster);
  await look();
  const { conditions } = await cluster.status('t', (now) => condition(now, 'Stalled') === 'True InvalidSpec');
  await absorbWithoutMemory(caches, cluster);
  const writes = recordWrites(t, cluster);
  await look();
  assert.deepEqual(writes, []);
  assert.deepEqual((await cluster.get(terminals, 't'))?.status?.conditions, conditions);
});

test('a Terminal that was deleted meanwhile is left to the garbage collector', { skip }, async (t) => {
  const cluster = await openCluster(t);
  await runningTerminal(cluster);
  await use(cluster, new Date(Date.now() - 3_600_000));
  const { look } = await deaf(t, cluster);
  await cluster.patch(terminals, 't', { metadata: { finalizers: ['example.org/keep'] } });
  await cluster.remove(terminals, 't');
  const writes = recordWrites(t, cluster);
  assert.deepEqual(await look(), { lookAgainAt: null, failed: false });
  assert.deepEqual(
    writes.map(({ what }) => what),
    ['PATCH terminals/t/status'],
  );
  await cluster.patch(terminals, 't', { metadata: { finalizers: null } });
});
