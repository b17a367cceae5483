/**
 * Thousands of Pods without a node: says of each what a kubelet says of a running one, and has one container answer in the place of all.
 * @module
 */
import { randomUUID } from 'node:crypto';
import pino from 'pino';
import { Informer } from '../src/kubernetes/informer.ts';
import { type Pod, pathOf, pods } from '../src/kubernetes/objects.ts';
import type { BenchCluster } from './cluster.ts';
import { docker, image, remove } from './docker.ts';

/** Pods that choose their nodes by this find none. */
export const nodeSelector = 'terminals-bench=stand-in';

export interface StandInNode {
  stop(): Promise<void>;
}

export async function startStandInNode(cluster: BenchCluster): Promise<StandInNode> {
  const container = `bench-stand-in-${randomUUID().slice(0, 8)}`;
  await docker('run', '--detach', '--name', container, image);
  const address = await docker('inspect', '--format', '{{.NetworkSettings.IPAddress}}', container);
  const stopping = new AbortController();
  const { client, namespace } = cluster;
  const log = pino({ level: 'silent' });
  const informer = new Informer<Pod>({ client, namespace, resource: pods, log });
  const started = new Set<string | undefined>();
  informer.onChange((pod) => {
    if (pod === undefined) return;
    const { name, uid, deletionTimestamp } = pod.metadata;
    if (deletionTimestamp) return void end(cluster, name);
    if (started.has(uid)) return;
    started.add(uid);
    void say(cluster, pod, address);
  });
  const running = informer.run(stopping.signal);
  await informer.synced;
  return {
    async stop() {
      stopping.abort();
      await running;
      await remove([container]);
    },
  };
}

/** As much as a kubelet says, so that it weighs as much in memory. */
async function say(
  { client, namespace }: BenchCluster,
  { metadata: { name }, spec }: Pod,
  address: string,
): Promise<void> {
  const now = new Date().toISOString();
  const types = ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled'];
  const hash = `sha256:${'0123456789abcdef'.repeat(4)}`;
  const container = {
    name: 'terminal',
    image: 'ghcr.io/open-webui/open-terminal:latest',
    imageID: hash,
    containerID: `containerd://${hash.slice(7)}`,
    ready: true,
    started: true,
    restartCount: 0,
    state: { running: { startedAt: now } },
    lastState: {},
    // Without it nothing can be changed in place.
    resources: spec?.containers[0]?.resources,
  };
  const status = {
    phase: 'Running',
    startTime: now,
    hostIP: address,
    hostIPs: [{ ip: address }],
    podIP: address,
    podIPs: [{ ip: address }],
    qosClass: 'Burstable',
    conditions: types.map((type) => ({ type, status: 'True', lastTransitionTime: now, lastProbeTime: null })),
    containerStatuses: [container],
  };
  const contentType = 'application/merge-patch+json';
  const target = { apiVersion: 'v1', kind: 'Node', name: 'stand-in' };
  const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name }, target };
  await client
    .request('POST', pathOf(pods, namespace, name, 'binding'), { body: binding })
    .then(() =>
      client.request('PATCH', pathOf(pods, namespace, name, 'status'), { body: { status }, contentType }),
    )
    // It was removed meanwhile.
    .catch(() => undefined);
}

async function end({ client, namespace }: BenchCluster, name: string): Promise<void> {
  await client
    .request('DELETE', pathOf(pods, namespace, name), { body: { gracePeriodSeconds: 0 } })
    .catch(() => undefined);
}
