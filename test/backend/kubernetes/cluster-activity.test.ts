import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TerminalResource, terminals } from '../../../src/operator/terminal-resource.ts';
import type { Desired } from '../../../src/terminal/terminal.ts';
import { withoutCluster } from '../../engines.ts';
import { type Cluster, openCluster, until } from '../../operator/cluster.ts';
import { backendOn, never, operated, pretendKubelet, running, silent } from './fixtures.ts';

const skip = await withoutCluster();
const minute = 60_000;

async function lastActivity(cluster: Cluster, { name }: Desired): Promise<number> {
  const resource: TerminalResource | undefined = await cluster.get(terminals, name);
  return Date.parse(resource?.status?.lastActivityAt ?? '');
}

function writes(requests: readonly string[]): number {
  return requests.filter((request) => request.startsWith('PATCH') && request.endsWith('/status')).length;
}

test('the last use is written at most once a minute', {
  skip,
}, async (t) => {
  const { cluster, backend, desired, requests } = await operated(t);
  const wanted = desired('alice');
  await backend.create(wanted, silent, never);
  // The minute counts from then, and the API server tells whole seconds.
  const { metadata } = (await cluster.get(terminals, wanted.name)) ?? {};
  const start = Date.parse(metadata?.creationTimestamp ?? '');
  const save = (afterMs: number) =>
    backend.activity.save(new Map([[wanted.name, start + afterMs]]), start + afterMs);
  for (let second = 0; second < 59; second += 1) await save(second * 1_000);
  assert.equal(writes(requests), 0);
  for (let second = 61; second < 181; second += 1) await save(second * 1_000);
  assert.equal(writes(requests), 2);
  await until(async () => (await lastActivity(cluster, wanted)) >= start + 2 * minute);

  await t.test('and whatever is left when this process ends', async () => {
    await backend.activity.save(new Map([[wanted.name, start + 182_000]]), start + 182_000, true);
    assert.equal(await lastActivity(cluster, wanted), start + 182_000);
  });

  await t.test('an older use than the one that is known is not written', async () => {
    await backend.activity.save(new Map([[wanted.name, start]]), start + 60 * minute, true);
    assert.equal(await lastActivity(cluster, wanted), start + 182_000);
  });
});

test('use by one orchestrator is seen by the others', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const one = backendOn(t, cluster);
  const other = backendOn(t, cluster);
  cluster.operator();
  pretendKubelet(t, cluster);
  const wanted = one.desired('alice');
  await one.backend.create(wanted, silent, never);
  const at = Date.now() + minute;
  await one.backend.activity.save(new Map([[wanted.name, at]]), at, true);
  await until(async () => (await other.backend.inspect(wanted.key, never))?.lastActivityAt === at);
});

test('the operator stops it by that time, and a request at any orchestrator wakes it at once', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const one = backendOn(t, cluster);
  const other = backendOn(t, cluster);
  cluster.operator();
  pretendKubelet(t, cluster);
  const wanted = one.desired('alice', { idleTimeoutMinutes: 0.05 });
  await one.backend.create(wanted, silent, never);
  await until(async () => (await other.backend.inspect(wanted.key, never))?.phase === 'Idle');
  const stopped = await lastActivity(cluster, wanted);
  running(await other.backend.start(wanted, silent, never));
  assert.ok((await lastActivity(cluster, wanted)) > stopped || Number.isNaN(stopped));
});

test('a use from before it was stopped does not wake it', { skip }, async (t) => {
  const { backend, desired, requests } = await operated(t);
  const wanted = desired('alice');
  await backend.create(wanted, silent, never);
  const used = Date.now() + 1_000;
  await backend.stop(wanted.key, never);
  const before = writes(requests);
  await backend.activity.save(new Map([[wanted.name, used]]), used, true);
  assert.equal(writes(requests), before);
  assert.equal((await backend.inspect(wanted.key, never))?.phase, 'Idle');
});

test('a terminal that others replace is not used by that', { skip }, async (t) => {
  const { backend, desired, requests } = await operated(t);
  await backend.create(desired('alice'), silent, never);
  const before = requests.length;
  await backend.replace(desired('alice', { env: { A: 'b' } }), silent, never);
  assert.equal(requests.length - before, 1);
});

test('one that starts for longer than its idle timeout is not stopped under who waits for it', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const { backend, desired } = backendOn(t, cluster);
  cluster.operator();
  pretendKubelet(t, cluster, 4_000);
  running(await backend.create(desired('alice', { idleTimeoutMinutes: 0.025 }), silent, never));
});
