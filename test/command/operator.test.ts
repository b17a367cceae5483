import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { configMaps } from '../../src/kubernetes/objects.ts';
import { withoutCluster } from '../engines.ts';
import { openCluster, until } from '../operator/cluster.ts';
import { terminals } from './cli.ts';

const skip = await withoutCluster();
const launcher = fileURLToPath(new URL('../../src/terminals.js', import.meta.url));

test('the operator says that it is alive and ready, serves its namespace, and ends with 0', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const env = {
    ...process.env,
    TERMINALS_KUBERNETES_NAMESPACE: cluster.namespace,
    TERMINALS_OPERATOR_PORT: '0',
    TERMINALS_KUBERNETES_LABELS: 'team=ai',
    TERMINALS_KUBERNETES_NODE_SELECTOR: 'pool=nowhere',
  };
  const child = spawn(process.execPath, [launcher, 'operator'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
  await until(
    () => /"port":\d+/.test(log),
    20_000,
    () => log,
  );
  const url = `http://127.0.0.1:${/"port":(\d+)/.exec(log)?.[1]}`;
  assert.equal((await fetch(`${url}/health`)).status, 200);
  await until(async () => (await fetch(`${url}/ready`)).status === 200);
  assert.equal((await fetch(`${url}/metrics`)).status, 404);
  await cluster.terminal('t', {});
  await cluster.status('t', ({ phase }) => phase === 'Pending');
  const { metadata, spec } = await cluster.pod('t');
  assert.deepEqual([metadata.labels?.team, spec?.nodeSelector?.pool], ['ai', 'nowhere']);

  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  assert.equal(code, 0, log);
});

test('the other commands look at a cluster as at any backend, and end', { skip }, async (t) => {
  const cluster = await openCluster(t);
  await cluster.terminal('terminals-default-alice', { userId: 'alice' });
  const env = {
    KUBECONFIG: process.env.KUBECONFIG ?? '',
    TERMINALS_BACKEND: 'kubernetes-operator',
    TERMINALS_KUBERNETES_NAMESPACE: cluster.namespace,
  };
  const { code, out, err } = await terminals(['list'], { env });
  assert.equal(code, 0, err);
  assert.match(out, /terminals-default-alice +alice +default +Provisioning +it waits for the operator/);
  assert.equal((await terminals(['delete', '--all', '--yes'], { env })).code, 0);
  assert.doesNotMatch((await terminals(['list'], { env })).out, /alice/);
});

test('policies in a ConfigMap are listed, and the command ends', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const text =
    'apiVersion: terminals.openwebui.com/v1alpha1\nkind: Policy\nmetadata: {name: data}\nspec: {image: "data:1"}\n';
  await cluster.apply(configMaps, 'policies', { data: { 'data.yaml': text } });
  const env = {
    KUBECONFIG: process.env.KUBECONFIG ?? '',
    TERMINALS_POLICIES_CONFIGMAP: 'policies',
    TERMINALS_KUBERNETES_NAMESPACE: cluster.namespace,
  };
  const { code, out, err } = await terminals(['policies'], { env });
  assert.equal(code, 0, err);
  assert.match(out, /data +data:1 .*configmap\/policies\/data\.yaml:1/);
});

test('without a cluster it says what to set', async () => {
  for (const env of [{ KUBECONFIG: '/nowhere', HOME: '/nowhere' }, { HOME: '/nowhere' }]) {
    const { code, err } = await terminals(['operator'], { env });
    assert.equal(code, 1);
    assert.match(err, /No Kubernetes cluster can be used.*TERMINALS_KUBERNETES_KUBECONFIG/);
  }
});
