import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pods } from '../../src/kubernetes/objects.ts';
import { terminals } from '../../src/operator/terminal-resource.ts';
import { withoutCluster } from '../engines.ts';
import { nowhere, openCluster, until } from './cluster.ts';
import { proxyToCluster } from './proxy.ts';

const skip = await withoutCluster();

test('what changed while the API server was away is seen when it is back', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const proxy = await proxyToCluster(t);
  const operator = cluster.operator({ kubeConfig: proxy.kubeConfig });
  await cluster.terminal('before', nowhere);
  await cluster.status('before', ({ phase }) => phase === 'Pending');
  proxy.down();
  await cluster.terminal('during', nowhere);
  await cluster.remove(pods, 'before');
  await until(async () => (await cluster.get(pods, 'before')) === undefined);
  proxy.up();
  await cluster.status('during', ({ phase }) => phase === 'Pending');
  await until(async () => (await cluster.get(pods, 'before')) !== undefined);
  assert.equal(operator.state.terminals, 2);
});

test('connections that are cut in the middle of the work lose and double nothing', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const proxy = await proxyToCluster(t);
  cluster.operator({ kubeConfig: proxy.kubeConfig });
  const names = Array.from({ length: 20 }, (_, index) => `t${index}`);
  const cutting = setInterval(proxy.cut, 120);
  t.after(() => clearInterval(cutting));
  await Promise.all(names.map((name) => cluster.terminal(name, nowhere)));
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  clearInterval(cutting);
  const keys = new Map<string, string>();
  for (const name of names) {
    await cluster.status(name, ({ phase }) => phase === 'Pending', 40_000);
    keys.set(name, await cluster.key(name));
  }
  for (const [name, key] of keys) assert.equal(await cluster.key(name), key);
});

test('of two operators one works; when it ends the other goes on, and every Terminal has one key', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const leaderElection = { namespace: cluster.namespace, retryMs: 200 };
  const operators = [cluster.operator({ leaderElection }), cluster.operator({ leaderElection })];
  await until(() => operators.some(({ state }) => state.leading));
  await cluster.terminal('one', nowhere);
  await cluster.status('one', ({ phase }) => phase === 'Pending');
  assert.equal(operators.filter(({ state }) => state.leading).length, 1);
  const key = await cluster.key('one');

  await operators.find(({ state }) => state.leading)?.stop();
  await cluster.terminal('two', nowhere);
  await cluster.status('two', ({ phase }) => phase === 'Pending');
  await cluster.patch(terminals, 'one', { spec: { env: { A: '1' } } });
  await cluster.status('one', ({ observedGeneration }) => observedGeneration === 2);
  assert.equal(await cluster.key('one'), key);
});

test('two operators that both believe they lead still make one key and one Pod', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const operators = [cluster.operator(), cluster.operator()];
  for (const { synced } of operators) await synced;
  const names = Array.from({ length: 10 }, (_, index) => `t${index}`);
  await Promise.all(names.map((name) => cluster.terminal(name, nowhere)));
  for (const name of names) await cluster.status(name, ({ phase }) => phase === 'Pending', 40_000);
  await until(() => operators.every(({ state }) => state.queued === 0));
  for (const name of names) {
    const pod = await cluster.pod(name);
    const { createHash } = await import('node:crypto');
    const held = Buffer.from(await cluster.key(name)).toString('base64');
    const hash = createHash('sha256').update(held).digest('hex').slice(0, 16);
    assert.equal(pod.metadata.annotations?.['openwebui.com/api-key-hash'], hash);
  }
});
