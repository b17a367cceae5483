/** Backends on a real API server, and a kubelet that only says what one would say: no node takes these Pods. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { BackendListener } from '../../../src/backend/backend.ts';
import { KubernetesBackend } from '../../../src/backend/kubernetes/kubernetes-backend.ts';
import type { RequestOptions } from '../../../src/kubernetes/client.ts';
import { KubeClient } from '../../../src/kubernetes/client.ts';
import { Informer } from '../../../src/kubernetes/informer.ts';
import { type Pod, pathOf, pods } from '../../../src/kubernetes/objects.ts';
import { resetOf } from '../../../src/operator/reset-pod.ts';
import { builtinPolicy } from '../../../src/policy/builtin.ts';
import type { PolicySpec } from '../../../src/policy/policy.ts';
import { renderTemplate } from '../../../src/terminal/desired.ts';
import { terminalName } from '../../../src/terminal/names.ts';
import type {
  Actual,
  ContextId,
  Desired,
  PolicyId,
  TerminalKey,
  UserId,
} from '../../../src/terminal/terminal.ts';
import { type Cluster, kubeConfig, openCluster, quiet } from '../../operator/cluster.ts';

/** The image that no node has. */
export const missingImage = 'localhost/missing:1';
/** One whose container starts, in a Pod that does not become ready: as one beside it does not. */
export const unreadyImage = 'localhost/unready:1';
export const never = new AbortController().signal;
export const silent = () => undefined;

export function keyOf(user: string, policy = 'default', context: string | null = null): TerminalKey {
  return { policy: policy as PolicyId, user: user as UserId, context: context as ContextId | null };
}

/** Counts what it is asked to do, by method. */
class CountingClient extends KubeClient {
  readonly requests: string[] = [];

  override request<T>(
    method: Parameters<KubeClient['request']>[0],
    path: string,
    options?: RequestOptions,
  ): Promise<T> {
    this.requests.push(`${method} ${path}`);
    return super.request<T>(method, path, options);
  }
}

export interface TestBackend {
  readonly backend: KubernetesBackend;
  /** `METHOD path` of every request but watches. */
  readonly requests: string[];
  /** What a listener was told, in order. */
  readonly seen: (readonly [TerminalKey, Actual | undefined])[];
  desired(user: string, spec?: Partial<PolicySpec>): Desired;
}

export interface TestBackendOptions {
  readonly address?: 'pod' | 'service';
  readonly kubeConfig?: ReturnType<typeof kubeConfig>;
  readonly syncMs?: number;
  /** On any node there is, rather than on none. */
  readonly anywhere?: true;
  /** Which orchestrator it is of. */
  readonly orchestrator?: string;
}

/** One orchestrator's backend; closed when the test ends. */
export function backendOn(t: TestContext, cluster: Cluster, options: TestBackendOptions = {}): TestBackend {
  const client = new CountingClient(options.kubeConfig ?? kubeConfig());
  const backend = new KubernetesBackend({
    client,
    namespace: cluster.namespace,
    address: options.address ?? 'pod',
    pods: {
      labels: { team: 'data' },
      nodeSelector: options.anywhere ? {} : { 'terminals-test': 'nowhere' },
      tolerations: [],
      podSecurityContext: {},
      containerSecurityContext: {},
      restricted: false,
    },
    replicas: { name: options.orchestrator ?? 'terminals-orchestrator' },
    log: quiet,
    ...(options.syncMs === undefined ? {} : { syncMs: options.syncMs }),
  });
  t.after(() => backend.close());
  const seen: TestBackend['seen'] = [];
  const listener: BackendListener = {
    count: 0,
    changed: (key, actual) => seen.push([key, actual]),
    relisted: (all) => {
      for (const actual of all) seen.push([actual.key, actual]);
    },
  };
  backend.watch(listener, AbortSignal.any([never]));
  const desired = (user: string, changes: Partial<PolicySpec> = {}): Desired => {
    const { spec } = builtinPolicy({ image: 'open-terminal:1' });
    const key = keyOf(user);
    return { key, name: terminalName(key), ...renderTemplate({ ...spec, ...changes }, backend.platform) };
  };
  return { backend, requests: client.requests, seen, desired };
}

/** A cluster with an operator and a kubelet, and one orchestrator's backend on it. */
export async function operated(t: TestContext): Promise<TestBackend & { readonly cluster: Cluster }> {
  const cluster = await openCluster(t);
  const one = backendOn(t, cluster);
  cluster.operator();
  pretendKubelet(t, cluster);
  return { cluster, ...one };
}

/** Says of every Pod that it is ready, or that its image can't be pulled, after the time that this takes. */
export function pretendKubelet(t: TestContext, cluster: Cluster, startMs = 0): void {
  const stopping = new AbortController();
  t.after(() => stopping.abort());
  const { client, namespace } = cluster;
  const informer = new Informer<Pod>({ client, namespace, log: quiet, resource: pods });
  const started = new Set<string | undefined>();
  informer.onChange((pod) => {
    if (pod === undefined || pod.metadata.deletionTimestamp || started.has(pod.metadata.uid)) return;
    started.add(pod.metadata.uid);
    const ip = `10.9.${started.size >> 8}.${started.size & 255}`;
    const status = kubeletSays(pod, ip);
    const said = () => void setStatus(cluster, pod.metadata.name, status).catch(() => undefined);
    if (startMs === 0) said();
    else setTimeout(said, startMs).unref();
  });
  void informer.run(stopping.signal);
}

/** One that empties a home ends at once. */
function kubeletSays(pod: Pod, ip: string): object {
  if (resetOf(pod) !== undefined) return { phase: 'Succeeded', podIP: ip, podIPs: [{ ip }] };
  const image = pod.spec?.containers[0]?.image;
  return image === missingImage ? unpullable(ip) : ready(pod, ip, image !== unreadyImage);
}

/** As a kubelet whose readiness probe has another answer. */
export async function setReady(cluster: Cluster, name: string, isReady: boolean): Promise<void> {
  const pod = await cluster.pod(name);
  await setStatus(cluster, name, ready(pod, pod.status?.podIP ?? '', isReady));
}

async function setStatus({ client, namespace }: Cluster, name: string, status: object): Promise<void> {
  await client.request('PATCH', pathOf(pods, namespace, name, 'status'), {
    body: { status },
    contentType: 'application/merge-patch+json',
  });
}

/** Times are whole seconds; one that has come up did so a second ago, since what changes then has to be later. */
function ready({ spec, status }: Pod, ip: string, isReady: boolean): object {
  const now = Math.floor(Date.now() / 1000) * 1000;
  const startedAt = status?.startTime ?? new Date(now - 1000).toISOString();
  const value = isReady ? 'True' : 'False';
  const before = status?.conditions?.find(({ type }) => type === 'Ready');
  const changedAt = before === undefined ? startedAt : new Date(now).toISOString();
  const lastTransitionTime = before?.status === value ? before.lastTransitionTime : changedAt;
  const state = { running: { startedAt } };
  return {
    phase: 'Running',
    startTime: startedAt,
    podIP: ip,
    podIPs: [{ ip }],
    conditions: [
      { type: 'PodScheduled', status: 'True' },
      { type: 'Ready', status: value, lastTransitionTime },
    ],
    containerStatuses: spec?.containers.map(({ name, image = '' }) => ({
      ...{ name, image, imageID: '', ready: isReady, started: true, restartCount: 0, state },
    })),
  };
}

function unpullable(ip: string): object {
  const waiting = { reason: 'ErrImagePull', message: `no such image: ${missingImage}` };
  const container = { name: 'terminal', image: missingImage, imageID: '', ready: false, restartCount: 0 };
  return {
    podIP: ip,
    podIPs: [{ ip }],
    conditions: [{ type: 'PodScheduled', status: 'True' }],
    containerStatuses: [{ ...container, state: { waiting } }],
  };
}

/** The phases that a listener was told of a terminal, each once in a row. */
export function phases(seen: TestBackend['seen'], user: string): readonly string[] {
  const own = seen.filter(([key]) => key.user === user).map(([, actual]) => actual?.phase ?? 'gone');
  return own.filter((phase, index) => phase !== own[index - 1]);
}

export function running(actual: Actual | undefined): Extract<Actual, { phase: 'Running' }> {
  assert.equal(actual?.phase, 'Running', JSON.stringify(actual));
  return actual;
}
