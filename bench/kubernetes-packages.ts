/**
 * `node bench/kubernetes-packages.ts [package…]`: how long a terminal takes to run on the cluster of KUBECONFIG without
 * packages, at the first start with them, and at the next one, which has them from its home. In seconds, as Markdown.
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';
import pino from 'pino';
import { KubeClient } from '../src/kubernetes/client.ts';
import { type KubeObject, pods, type Resource } from '../src/kubernetes/objects.ts';
import { startOperator } from '../src/operator/operator.ts';
import { terminals } from '../src/operator/terminal-resource.ts';

const manager = 'terminals-bench';
const namespaces: Resource<KubeObject> = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' };
const packages = process.argv.slice(2);
if (packages.length === 0) packages.push('graphviz');

const kubeConfig = new KubeConfig();
kubeConfig.loadFromDefault();
const client = new KubeClient(kubeConfig);
const namespace = `bench-${Date.now().toString(36)}`;

/** Seconds until its Pod, another one than that, runs. */
async function secondsToRun(name: string, before?: string): Promise<number> {
  const began = performance.now();
  for (;;) {
    const pod = await client.get(pods, namespace, name);
    const ready = pod?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
    if (ready && pod?.metadata.uid !== before) return (performance.now() - began) / 1_000;
    await delay(50);
  }
}

async function starts(name: string, spec: object): Promise<readonly [number, number]> {
  const object = {
    ...{ apiVersion: terminals.apiVersion, kind: terminals.kind },
    metadata: { name, namespace },
  };
  await client.apply(
    terminals,
    { ...object, ...{ spec: { userId: name, ...spec } } },
    { manager, force: true },
  );
  const first = await secondsToRun(name);
  const uid = (await client.get(pods, namespace, name))?.metadata.uid;
  await client.delete(pods, namespace, name, uid);
  return [first, await secondsToRun(name, uid)];
}

const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
await client.apply(namespaces, object, { manager, force: true });
const operator = startOperator({
  kubeConfig,
  namespace,
  log: pino({ level: 'silent' }),
  leaderElection: null,
});
try {
  await operator.synced;
  const line = (what: string, [first, second]: readonly [number, number]) =>
    `| ${what} | ${first.toFixed(1)} | ${second.toFixed(1)} |\n`;
  process.stdout.write('| packages | first start | next start |\n| --- | --- | --- |\n');
  process.stdout.write(line('none', await starts('plain', {})));
  process.stdout.write(line(packages.join(' '), await starts('kept', { packages })));
  const persistence = { enabled: false };
  process.stdout.write(
    line(`${packages.join(' ')}, home not kept`, await starts('anew', { packages, persistence })),
  );
  process.stdout.write(line('pip: cowsay rich', await starts('pip', { pipPackages: ['cowsay', 'rich'] })));
} finally {
  await operator.stop();
  await client.request('DELETE', `/api/v1/namespaces/${namespace}`);
  await client.close();
}
