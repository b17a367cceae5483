/** Several replicas on the same terminals: one does what nobody asked for, and all know what came of a revision. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { StartFailedError } from '../../src/errors.ts';
import type { PolicySpec } from '../../src/policy/policy.ts';
import { Reconciler } from '../../src/reconcile/reconciler.ts';
import { Templates } from '../../src/reconcile/templates.ts';
import { steady } from '../terminal/fixtures.ts';
import { capturedLog, gate, keyOf, MemoryPolicies, patient, policyOf, turns, until } from './harness.ts';
import { type Replica, SharedCluster } from './shared-backend.ts';

const users = ['alice', 'bob', 'carol', 'dave'].map((user) => keyOf(user));
const [alice = keyOf('alice'), bob = keyOf('bob')] = users;
const rollout = { ...steady, when: 'now', idleAfterMinutes: 0 } as const;
const now = (image: string, changes: Partial<PolicySpec> = {}) => policyOf({ image, rollout, ...changes });
const [one, two, bad] = ['open-terminal:1', 'open-terminal:2', 'open-terminal:bad'];

/** No activity is written: nobody goes idle here. */
const activity = {
  intervalMs: 60_000,
  load: async () => ({ lastActivityAt: () => null }),
  save: async () => undefined,
};

interface Process {
  readonly backend: Replica;
  readonly policies: MemoryPolicies;
  readonly reconciler: Reconciler;
  /** How often it said that somebody changed something by hand. */
  drifts(): number;
  kill(): Promise<void>;
}

async function begin(t: TestContext, cluster: SharedCluster, name: string, image = one): Promise<Process> {
  const { log } = await capturedLog();
  const backend = cluster.replica(name);
  const policies = new MemoryPolicies(now(image));
  let drifts = 0;
  const drifted = () => {
    drifts += 1;
  };
  const reconciler = new Reconciler({
    ...{ backend, policies, activity, log, drifted },
    revisions: backend.revisions,
    templates: new Templates({}),
  });
  await reconciler.start();
  const kill = async () => {
    backend.kill();
    if (cluster.leader === backend) cluster.lead(null);
    await Promise.race([reconciler.close(), turns(5)]);
  };
  t.after(kill);
  return { backend, policies, reconciler, drifts: () => drifts, kill };
}

/** Two of them, the first leads; four users' terminals run with the first image. */
async function pair(t: TestContext) {
  const cluster = new SharedCluster();
  const leader = await begin(t, cluster, 'leader');
  const other = await begin(t, cluster, 'other');
  cluster.lead(leader.backend);
  for (const key of users) await leader.reconciler.reach(key, patient);
  await turns();
  cluster.declared.length = 0;
  const edit = (policy = now(two)) => {
    for (const { policies } of [leader, other]) policies.edit(policy);
    return policy;
  };
  const images = () => users.map((key) => cluster.image(key));
  cluster.starts = async ({ workload }) => {
    await turns(3);
    if (workload.image === bad) throw new StartFailedError('It ended at once.', 'Look at its log.');
  };
  return { cluster, leader, other, edit, images };
}

test('an edit is rolled out by the one that leads, one terminal first', async (t) => {
  const { cluster, edit, images } = await pair(t);
  const { passed, open } = gate();
  cluster.starts = () => passed;
  edit();
  await turns();
  assert.equal(cluster.declared.length, 1);
  open();
  await until(() => images().every((image) => image === two), 'all are on it');
  assert.deepEqual(new Set(cluster.declared.map(({ by }) => by)), new Set(['leader']));
});

test('no more are missing at a time than maxUnavailable says, whoever leads meanwhile', async (t) => {
  const { cluster, leader, other, edit, images } = await pair(t);
  let most = 0;
  const { passed, open } = gate();
  cluster.starts = () => (cluster.declared.length < 3 ? turns(10) : passed);
  const watch = setInterval(() => {
    most = Math.max(most, images().filter((image) => image === undefined).length);
  }, 0);
  t.after(() => clearInterval(watch));
  edit(now(two, { rollout: { ...rollout, maxUnavailable: 1 } }));
  await until(() => cluster.declared.length === 3, 'it is under way');
  await leader.kill();
  cluster.lead(other.backend);
  await turns();
  assert.equal(cluster.declared.length, 3, 'the one that the killed leader began counts');
  open();
  await until(() => images().every((image) => image === two), 'the other goes on');
  assert.ok(most <= 1, `${most} were missing at once`);
});

test('while nobody leads, users are served and nothing else is done', async (t) => {
  const { cluster, other, edit, images } = await pair(t);
  cluster.lead(null);
  edit();
  await turns();
  assert.deepEqual(cluster.declared, []);
  const { terminal } = await other.reconciler.reach(keyOf('eve'), patient);
  assert.equal(terminal.fingerprint?.image, two, 'where nobody else goes first, a new user does');
  assert.ok(images().every((image) => image === one));
  cluster.lead(other.backend);
  await until(() => images().every((image) => image === two), 'the next leader catches up');
});

test('where a terminal is on its way to a new revision, a new user at another replica gets the last good one', async (t) => {
  const { cluster, other, edit, images } = await pair(t);
  const { passed, open } = gate();
  cluster.starts = ({ workload }) => (workload.image === two ? passed : Promise.resolve());
  edit();
  await until(() => cluster.declared.length === 1, 'the first is on its way');
  await turns();
  const { terminal } = await other.reconciler.reach(keyOf('eve'), patient);
  assert.equal(terminal.fingerprint?.image, one);
  open();
  await until(() => [...images(), cluster.image(keyOf('eve'))].every((image) => image === two), 'all follow');
});

test('a bad revision stalls for all: all go back, and new users of each get the last good one', async (t) => {
  const { cluster, leader, other, edit, images } = await pair(t);
  const broken = edit(now(bad));
  await until(() => other.reconciler.rollouts.stateOf(broken).stalled !== null, 'the other knows');
  await until(() => images().every((image) => image === one), 'all are back');
  const states = [leader, other].map(({ reconciler }) => reconciler.rollouts.stateOf(broken));
  assert.deepEqual(states[0], states[1]);
  assert.equal(states[0]?.failures, 3);
  const tried = cluster.declared.filter(({ image }) => image === bad).length;
  for (const [index, { reconciler }] of [leader, other].entries()) {
    const { terminal } = await reconciler.reach(keyOf(`new${index}`), patient);
    assert.equal(terminal.fingerprint?.image, one);
  }
  assert.equal(cluster.declared.filter(({ image }) => image === bad).length, tried);
});

test('a stall stays over the restart of all replicas, and a retry at any of them ends it for all', async (t) => {
  const { cluster, leader, other, edit, images } = await pair(t);
  const broken = edit(now(bad));
  await until(() => other.reconciler.rollouts.stateOf(broken).stalled !== null, 'the other knows');
  await until(() => images().every((image) => image === one), 'all are back');
  await leader.kill();
  await other.kill();
  cluster.declared.length = 0;
  const next = await begin(t, cluster, 'next', bad);
  const last = await begin(t, cluster, 'last', bad);
  cluster.lead(next.backend);
  await turns();
  assert.deepEqual(cluster.declared, []);
  assert.match(next.reconciler.rollouts.stateOf(broken).stalled?.reason ?? '', /ended at once/);
  const { terminal } = await last.reconciler.reach(keyOf('eve'), patient);
  assert.equal(terminal.fingerprint?.image, one);

  cluster.starts = () => turns(2);
  last.reconciler.rollouts.retry(broken.id);
  await until(() => images().every((image) => image === bad), 'what was mended reaches all');
  assert.equal(next.reconciler.rollouts.stateOf(broken).stalled, null);
});

test('the leader is killed while the first is on its way: the next one sees how that ends', async (t) => {
  const { cluster, leader, other, edit, images } = await pair(t);
  let runs = false;
  const { passed, open } = gate();
  cluster.starts = async ({ workload }) => {
    if (workload.image === two) await passed;
    if (workload.image === two && !runs) throw new StartFailedError('It ended at once.', 'Look at its log.');
  };
  const policy = edit(now(two, { rollout: { ...rollout, pauseOnFailures: 10 } }));
  await until(() => cluster.declared.length === 1, 'the first is on its way');
  await leader.kill();
  cluster.lead(other.backend);
  await turns();
  assert.equal(cluster.declared.length, 1, 'nobody else goes meanwhile');
  open();
  await until(() => other.reconciler.rollouts.stateOf(policy).failures > 0, 'it is known to have failed');
  runs = true;
  await until(() => images().every((image) => image === two), 'all are on it in the end', 15_000);
});

test('a terminal that its leader left with a bad revision goes back, asked for or not', async (t) => {
  const { cluster, leader, other, edit } = await pair(t);
  const { passed, open } = gate();
  cluster.starts = ({ workload }) => (workload.image === bad ? passed : Promise.resolve());
  edit(now(bad, { rollout: { ...rollout, pauseOnFailures: 1 } }));
  await until(() => cluster.declared.length === 1, 'the first is on its way');
  await leader.kill();
  const [actual] = [...cluster.terminals.values()].filter(({ phase }) => phase === 'Provisioning');
  assert.ok(actual);
  cluster.put(actual.key, { ...actual, phase: 'Error', detail: 'It ended.', recover: 'replace' });
  cluster.starts = async ({ workload }) => {
    if (workload.image === bad) throw new StartFailedError('It ended at once.', 'Look at its log.');
  };
  cluster.lead(other.backend);
  await until(() => cluster.image(actual.key) === one, 'it is back');
  open();
});

test('a request that meets another replica’s failing start is served, and hears nothing of it', async (t) => {
  const { cluster, other, edit } = await pair(t);
  const { passed, open } = gate();
  cluster.starts = async ({ workload }) => {
    if (workload.image !== bad) return;
    await passed;
    throw new StartFailedError('It ended at once.', 'Look at its log.');
  };
  const broken = edit(now(bad, { rollout: { ...rollout, pauseOnFailures: 10 } }));
  await until(() => cluster.declared.length === 1, 'the first is on its way');
  const first = users.find(({ user }) => user === cluster.declared[0]?.user);
  assert.ok(first);
  const reached = Promise.resolve(other.reconciler.reach(first, patient));
  await turns();
  assert.equal(cluster.declared.length, 1, 'it is the same start');
  open();
  assert.equal((await reached).terminal.fingerprint?.image, one);
  assert.ok(other.reconciler.rollouts.stateOf(broken).failures <= cluster.declared.length);
});

test('what changes in place is changed once, and what was changed by hand is told once', async (t) => {
  const { cluster, leader, other, edit } = await pair(t);
  const { resources } = policyOf().spec;
  edit(now(one, { resources: { ...resources, limits: { ...resources.limits, pids: 99 } } }));
  const pids = () => [...cluster.terminals.values()].map(({ limits }) => limits?.pids);
  await until(() => pids().every((value) => value === 99), 'all have them');
  await turns();
  const drifts = () => [leader, other].map((replica) => replica.drifts());
  assert.deepEqual(drifts(), [0, 0], 'it was the policy');
  const [actual] = cluster.terminals.values();
  assert.ok(actual?.limits);
  cluster.put(actual.key, { ...actual, limits: { ...actual.limits, pids: 7 } });
  await until(() => pids().includes(7) === false, 'it is put right');
  assert.deepEqual(drifts(), [1, 0]);
  assert.deepEqual(cluster.declared, []);
});

test('an order is carried out by the replica that it was given to', async (t) => {
  const { cluster, other } = await pair(t);
  const { terminal } = await other.reconciler.reach(bob, patient);
  await other.reconciler.order({ kind: 'stop', reason: 'asked for' }, terminal.name);
  assert.equal(cluster.terminals.get(terminal.name)?.phase, 'Idle');
  await other.reconciler.reach(alice, patient);
});
