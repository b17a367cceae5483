/** Resets as an orchestrator asks for them, on a real API server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StartFailedError } from '../../../src/errors.ts';
import { pods } from '../../../src/kubernetes/objects.ts';
import { resetOf } from '../../../src/operator/reset-pod.ts';
import { keepAnnotation, resetAnnotation } from '../../../src/operator/reset-request.ts';
import { terminals } from '../../../src/operator/terminal-resource.ts';
import { withoutCluster } from '../../engines.ts';
import { type Cluster, openCluster, until } from '../../operator/cluster.ts';
import { backendOn, never, operated, pretendKubelet, running, silent } from './fixtures.ts';

const skip = await withoutCluster();
const weekly = { reset: { schedule: '@weekly', timezone: 'UTC', keep: ['notes'] } };

/** How many Pods there are that empty a home, and were. */
function countEmptiers({ client, namespace }: Cluster): Promise<number> {
  const path = `/api/v1/namespaces/${namespace}/events`;
  return client
    .request<{ items: readonly { reason: string; count?: number }[] }>('GET', path)
    .then(({ items }) => items.filter(({ reason }) => reason === 'HomeReset').length);
}

test('a reset resolves when the home is empty, and the next request has it', { skip }, async (t) => {
  const { cluster, backend, desired } = await operated(t);
  const wanted = desired('alice', weekly);
  running(await backend.create(wanted, silent, never));
  const before = Date.now();
  await backend.reset(wanted, ['notes'], never);
  const resource = await cluster.get(terminals, wanted.name);
  assert.ok(Date.parse(resource?.status?.lastResetAt ?? '') >= before);
  assert.equal(resource?.metadata.annotations?.[keepAnnotation], '["notes"]');
  const actual = await backend.inspect(wanted.key, never);
  assert.notEqual(actual?.phase, 'Running');
  assert.ok((actual?.clean?.since ?? 0) >= before);
  running(await backend.start(wanted, silent, never));

  await t.test('and what stayed at the last one is forgotten at one that keeps nothing', async () => {
    await backend.reset(wanted, [], never);
    assert.equal(
      (await cluster.get(terminals, wanted.name))?.metadata.annotations?.[keepAnnotation],
      undefined,
    );
  });
});

test('two orchestrators that ask at once have it emptied once', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const one = backendOn(t, cluster);
  const other = backendOn(t, cluster);
  cluster.operator();
  const wanted = one.desired('alice', weekly);
  pretendKubelet(t, cluster);
  running(await one.backend.create(wanted, silent, never));
  await until(async () => (await other.backend.inspect(wanted.key, never))?.phase === 'Running');
  const both = [one, other].map(({ backend }) => backend.reset(wanted, [], never));
  await Promise.all(both);
  await until(async () => (await countEmptiers(cluster)) > 0);
  assert.equal(await countEmptiers(cluster), 1);
});

test('a request that comes meanwhile waits for it, and use from before it wakes nobody', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const { backend, desired } = backendOn(t, cluster);
  cluster.operator();
  pretendKubelet(t, cluster, 300);
  const wanted = desired('alice');
  running(await backend.create(wanted, silent, never));
  const reset = backend.reset(wanted, [], never);
  await until(async () => (await backend.inspect(wanted.key, never))?.phase === 'Provisioning');
  const used = Date.now();
  await backend.activity.save(new Map([[wanted.name, used]]), used, true);
  const started = backend.start(wanted, silent, never);
  await reset;
  running(await started);
  const pod = await cluster.pod(wanted.name);
  assert.equal(resetOf(pod), undefined);
  const status = (await cluster.get(terminals, wanted.name))?.status;
  assert.ok(
    Date.parse(status?.lastResetAt ?? '') <= Date.parse(pod.metadata.creationTimestamp ?? '') + 1_000,
  );
});

test('a home that can not be emptied fails the reset with what the node says', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const { backend, desired } = backendOn(t, cluster);
  cluster.operator();
  const wanted = desired('alice');
  const creating = backend.create(wanted, silent, never).catch(() => undefined);
  await until(async () => (await cluster.get(terminals, wanted.name)) !== undefined);
  const failing = assert.rejects(
    backend.reset(wanted, [], never),
    (error) => error instanceof StartFailedError && /could not be emptied.*no space/.test(error.message),
  );
  await until(async () => {
    const pod = await cluster.get(pods, wanted.name);
    return pod !== undefined && resetOf(pod) !== undefined;
  });
  const status = { phase: 'Failed', message: 'no space' };
  await cluster.patch(pods, wanted.name, { status }, 'status');
  await failing;
  await cluster.patch(terminals, wanted.name, { metadata: { annotations: { [resetAnnotation]: null } } });
  await cluster.remove(terminals, wanted.name);
  await creating;
});

test('one that is not there has no home', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const { backend, desired } = backendOn(t, cluster);
  await backend.reset(desired('nobody'), [], never);
});

test('since when a schedule is in force is on the Terminal, for every orchestrator and after a restart', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const one = backendOn(t, cluster);
  const other = backendOn(t, cluster);
  cluster.operator();
  pretendKubelet(t, cluster);
  const plain = one.desired('alice');
  assert.equal(running(await one.backend.create(plain, silent, never)).clean, undefined);

  const before = Date.now();
  const { clean } = await one.backend.update(one.desired('alice', weekly), never);
  assert.deepEqual([clean?.schedule, clean?.timezone], ['@weekly', 'UTC']);
  assert.ok((clean?.since ?? 0) >= before);
  await until(async () => (await other.backend.inspect(plain.key, never))?.clean?.since === clean?.since);

  await t.test('it stays as it is at every other change', async () => {
    const limits = { ...weekly, idleTimeoutMinutes: 7 };
    assert.deepEqual((await one.backend.update(one.desired('alice', limits), never)).clean, clean);
    const image = { ...weekly, env: { A: 'b' } };
    assert.deepEqual(
      running(await one.backend.replace(one.desired('alice', image), silent, never)).clean,
      clean,
    );
  });

  await t.test('and begins anew with another schedule, also after none', async () => {
    const daily = { reset: { ...weekly.reset, schedule: '@daily' } };
    const changed = (await one.backend.update(one.desired('alice', daily), never)).clean;
    assert.ok(changed && clean && changed.since > clean.since);
    assert.equal((await one.backend.update(plain, never)).clean, undefined);
    const again = (await one.backend.update(one.desired('alice', daily), never)).clean;
    assert.ok(again && again.since > changed.since);
  });
});
