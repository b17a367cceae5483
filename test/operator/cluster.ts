/** A namespace of its own on the cluster of KUBECONFIG, with the CRD, for one test file. */
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFile } from 'node:fs/promises';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';
import pino from 'pino';
import { parse } from 'yaml';
import { KubeClient } from '../../src/kubernetes/client.ts';
import { KubeError } from '../../src/kubernetes/kube-error.ts';
import {
  type KubeObject,
  type Pod,
  pathOf,
  pods,
  type Resource,
  type Secret,
  secrets,
} from '../../src/kubernetes/objects.ts';
import { type Operator, type OperatorOptions, startOperator } from '../../src/operator/operator.ts';
import {
  type TerminalResource,
  type TerminalStatus,
  terminals,
} from '../../src/operator/terminal-resource.ts';

export const quiet = pino({ level: process.env.TEST_LOG ?? 'silent' });
/** Of the tests' own writes. */
const manager = 'terminals-test';
export const crds: Resource<KubeObject> = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
};
const namespaces: Resource<KubeObject> = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' };

export function kubeConfig(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromDefault();
  return config;
}

export interface Cluster {
  readonly client: KubeClient;
  readonly namespace: string;
  operator(options?: Partial<OperatorOptions>): Operator;
  terminal(name: string, spec?: object, metadata?: object): Promise<TerminalResource>;
  get<T extends KubeObject>(resource: Resource<T>, name: string): Promise<T | undefined>;
  /** Makes or changes any object by an apply. */
  apply<T extends KubeObject>(resource: Resource<T>, name: string, fields: object): Promise<T>;
  patch(resource: Resource<KubeObject>, name: string, fields: object, subresource?: string): Promise<void>;
  remove(resource: Resource<KubeObject>, name: string): Promise<void>;
  /** Waits until the Terminal's status is so. */
  status(name: string, so: (status: TerminalStatus) => boolean, withinMs?: number): Promise<TerminalStatus>;
  pod(name: string): Promise<Pod>;
  key(name: string): Promise<string>;
}

/** Everything in it is gone at the end of the test. */
export async function openCluster(t: TestContext, labels: Record<string, string> = {}): Promise<Cluster> {
  const client = new KubeClient(kubeConfig());
  await client.apply(crds, parse(await readFile('schemas/terminal.crd.yaml', 'utf8')), {
    manager,
    force: true,
  });
  // A new definition is served a moment later.
  await until(() =>
    client.request('GET', pathOf(terminals, 'default'), { query: { limit: 1 } }).then(
      () => true,
      () => false,
    ),
  );
  const namespace = `test-${Date.now().toString(36)}-${Math.floor(Math.random() * 1e6).toString(36)}`;
  const operators: Operator[] = [];
  t.after(async () => {
    for (const operator of operators) await operator.stop();
    await client.request('DELETE', `/api/v1/namespaces/${namespace}`, {
      body: { propagationPolicy: 'Background' },
    });
    await client.close();
  });
  const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } };
  await client.apply(namespaces, object, { manager, force: true });
  return {
    client,
    namespace,
    operator(options) {
      const fixed = { kubeConfig: kubeConfig(), namespace, log: quiet, leaderElection: null };
      const operator = startOperator({ ...fixed, ...options });
      operators.push(operator);
      return operator;
    },
    ...verbs(client, namespace),
  };
}

function verbs(client: KubeClient, namespace: string): Omit<Cluster, 'client' | 'namespace' | 'operator'> {
  const get: Cluster['get'] = (resource, name) => client.get(resource, namespace, name);
  const apply: Cluster['apply'] = (resource, name, fields) => {
    const { apiVersion, kind } = resource;
    const object = { apiVersion, kind, ...fields, metadata: { namespace, ...metadataOf(fields), name } };
    return client.apply(resource, object, { manager, force: true });
  };
  return {
    get,
    apply,
    terminal: (name, spec = {}, metadata = {}) =>
      apply(terminals, name, { metadata, spec: { userId: `user-${name}`, ...spec } }),
    async patch(resource, name, fields, subresource) {
      const options = { body: fields, contentType: 'application/merge-patch+json' };
      await client.request('PATCH', pathOf(resource, namespace, name, subresource), options);
    },
    async remove(resource, name) {
      await client.delete(resource, namespace, name, undefined);
    },
    async status(name, so, withinMs = 20_000) {
      let last: TerminalStatus | undefined;
      await until(
        async () => {
          last = (await get(terminals, name))?.status;
          return last !== undefined && so(last);
        },
        withinMs,
        () => JSON.stringify(last, null, 1),
      );
      assert.ok(last);
      return last;
    },
    async pod(name) {
      const pod = await get(pods, name);
      assert.ok(pod, `there is no Pod ${name}`);
      return pod;
    },
    async key(name) {
      const secret: Secret | undefined = await get(secrets, `${name}-key`);
      return Buffer.from(secret?.data?.['api-key'] ?? '', 'base64').toString();
    },
  };
}

function metadataOf(fields: object): object {
  return 'metadata' in fields && typeof fields.metadata === 'object' ? { ...fields.metadata } : {};
}

/** A write of an operator or an orchestrator. */
export interface RecordedWrite {
  /** `PATCH terminals/alice/status`. */
  readonly what: string;
  /** The field manager; empty for a DELETE. */
  readonly by: string;
}

/** What operators and orchestrators of this process write in its namespace, from now on. */
export function recordWrites(t: TestContext, { namespace }: Cluster): readonly RecordedWrite[] {
  const writes: RecordedWrite[] = [];
  const record = (message: unknown) => {
    const { request } = message as { request: { method: string; path: string } };
    const [path = '', query] = request.path.split('?');
    const by = new URLSearchParams(query).get('fieldManager') ?? '';
    const own = by.startsWith('terminals-o') || request.method === 'DELETE';
    const [, inNamespace] = path.split(`/${namespace}/`);
    if (own && inNamespace !== undefined) writes.push({ what: `${request.method} ${inNamespace}`, by });
  };
  subscribe('undici:request:create', record);
  t.after(() => unsubscribe('undici:request:create', record));
  return writes;
}

/** Waits for a condition; says what was there instead. */
export async function until(
  condition: () => Promise<boolean> | boolean,
  withinMs = 20_000,
  seen: () => string = () => '',
): Promise<void> {
  const end = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > end) assert.fail(`not so after ${withinMs} ms: ${seen()}`);
    await delay(50);
  }
}

export function condition(status: TerminalStatus, type: string): string {
  const found = status.conditions?.find((one) => one.type === type);
  return `${found?.status} ${found?.reason}`;
}

/** How the API server refuses it. */
export async function refusal(work: Promise<unknown>): Promise<KubeError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof KubeError) return error;
    throw error;
  }
  return assert.fail('it was accepted');
}

/** A Pod that no node takes: what happens to it is the test's own to write. */
export const nowhere = { podTemplate: { spec: { nodeSelector: { 'terminals-test': 'nowhere' } } } };

/** Says in a Pod's status what a kubelet would. */
export async function pretendReady(cluster: Cluster, name: string, ready = true): Promise<void> {
  const status = ready ? 'True' : 'False';
  await cluster.patch(
    pods,
    name,
    {
      status: {
        phase: 'Running',
        podIP: '10.1.2.3',
        podIPs: [{ ip: '10.1.2.3' }],
        conditions: [
          { type: 'PodScheduled', status: 'True' },
          { type: 'Ready', status },
        ],
      },
    },
    'status',
  );
}
