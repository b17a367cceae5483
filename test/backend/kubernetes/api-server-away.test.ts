import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineUnavailableError } from '../../../src/errors.ts';
import { withoutCluster } from '../../engines.ts';
import { openCluster, until } from '../../operator/cluster.ts';
import { proxyToCluster } from '../../operator/proxy.ts';
import { backendOn, never, pretendKubelet, running, silent } from './fixtures.ts';

const skip = await withoutCluster();

test('while the API server is away, what runs is served on, and a start says why it can not be', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const proxy = await proxyToCluster(t);
  const { backend, desired } = backendOn(t, cluster, { kubeConfig: proxy.kubeConfig });
  cluster.operator();
  pretendKubelet(t, cluster);
  const wanted = desired('alice');
  await backend.create(wanted, silent, never);
  proxy.down();
  running(await backend.inspect(wanted.key, never));
  assert.equal((await backend.list(never)).length, 1);
  await assert.rejects(backend.create(desired('bob'), silent, never), EngineUnavailableError);
  const used = Date.now() + 120_000;
  await backend.activity.save(new Map([[wanted.name, used]]), used, true);

  await t.test('and when it is back, what happened meanwhile is known', async () => {
    await cluster.terminal(desired('carol').name, { userId: 'carol' });
    proxy.up();
    await until(async () => (await backend.inspect(desired('carol').key, never)) !== undefined);
    running(await backend.create(desired('bob'), silent, never));
  });
});

test('a cluster that does not answer yet is no failure: it is taken up when it does', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const proxy = await proxyToCluster(t);
  proxy.down();
  const { backend, desired, seen } = backendOn(t, cluster, { kubeConfig: proxy.kubeConfig, syncMs: 200 });
  await cluster.terminal(desired('alice').name, { userId: 'alice' });
  await assert.rejects(backend.list(never), EngineUnavailableError);
  proxy.up();
  await until(() => seen.some(([{ user }]) => user === 'alice'));
});
