/** From nothing, and from idle, to a user's first answer on a cluster, beside a bare Pod of the same kind until it is Ready. @module */
import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import pino from 'pino';
import { Informer } from '../../src/kubernetes/informer.ts';
import {
  type KubeObject,
  type Pod,
  pathOf,
  pods,
  type Resource,
  secrets,
  volumeClaims,
} from '../../src/kubernetes/objects.ts';
import { stopAnnotation, terminals } from '../../src/operator/terminal-resource.ts';
import { terminalName } from '../../src/terminal/names.ts';
import type { PolicyId, UserId } from '../../src/terminal/terminal.ts';
import { BenchCluster, manager } from '../cluster.ts';
import { type ClusterProgram, startOnCluster, writePolicy } from '../contenders/on-cluster.ts';
import { callerHeaders } from '../contenders/terminals.ts';
import type { Context, RowGroup } from '../context.ts';
import { userPrefix } from '../docker.ts';
import { until } from '../processes.ts';
import { get } from './first-requests.ts';

const group = 'kubernetes-start';
const rows = ['pod-first', 'pod-woken'] as const;
const image = process.env.TERMINALS_IMAGE || 'ghcr.io/open-webui/open-terminal:latest';
/** Answered by the terminal itself. */
const terminalPath = '/files/cwd';

export const kubernetesStart: RowGroup = {
  name: group,
  rows,
  async run(context) {
    const cluster = await BenchCluster.open();
    const watching = new AbortController();
    const podsSeen = podInformer(cluster);
    const running = podsSeen.run(watching.signal);
    const programs: ClusterProgram[] = [];
    try {
      await podsSeen.synced;
      const folder = path.join(context.folder, group);
      await mkdir(folder, { recursive: true });
      await writePolicy(folder, '1Gi');
      const kubeconfig = (process.env.KUBECONFIG ?? '').split(path.delimiter)[0] ?? '';
      const options = { folder, kubeconfig, namespace: cluster.namespace, image };
      programs.push(await startOnCluster('operator', options));
      const orchestrator = await startOnCluster('serve', options);
      programs.push(orchestrator);
      const starts = new Starts(cluster, podsSeen, orchestrator.url);
      for (let round = 0; round <= context.pick(5, 1); round += 1) await measure(context, starts, round);
    } finally {
      for (const program of programs.reverse()) await program.stop();
      watching.abort();
      await running;
      await cluster.close();
    }
  },
};

/** The first round fills caches, and is not counted. */
async function measure({ measurements }: Context, starts: Starts, round: number): Promise<void> {
  const user = `${userPrefix}${randomUUID().slice(0, 8)}`;
  const bare = `bare-${randomUUID().slice(0, 8)}`;
  const own = { first: await starts.request(user), woken: 0 };
  const pod = { first: await starts.barePod(bare, user), woken: 0 };
  await Promise.all([starts.stop(user), starts.removePod(bare)]);
  own.woken = await starts.request(user);
  pod.woken = await starts.barePod(bare, user);
  await starts.removePod(bare);
  if (round === 0) return;
  const titles = { first: 'cluster: first request from nothing', woken: 'cluster: an idle terminal woken' };
  for (const row of ['first', 'woken'] as const) {
    const what = { id: `pod-${row}.ms`, title: titles[row], unit: 'ms', better: 'less' } as const;
    measurements.add(what, 'bare Pod', pod[row]);
    measurements.add(what, 'terminals', own[row]);
  }
}

function podInformer({ client, namespace }: BenchCluster): Informer<Pod> {
  return new Informer<Pod>({ client, namespace, resource: pods, log: pino({ level: 'silent' }) });
}

class Starts {
  readonly #cluster: BenchCluster;
  readonly #pods: Informer<Pod>;
  readonly #url: string;

  constructor(cluster: BenchCluster, seen: Informer<Pod>, url: string) {
    this.#cluster = cluster;
    this.#pods = seen;
    this.#url = url;
  }

  /** @returns milliseconds until the user's terminal has answered */
  async request(user: string): Promise<number> {
    const began = performance.now();
    const { status, body } = await get(`${this.#url}${terminalPath}`, callerHeaders(user));
    if (status !== 200) throw new Error(`not served: ${status} ${body}`);
    return performance.now() - began;
  }

  /**
   * A Pod as that of a user's terminal, with a Secret and a home of its own, which a second call finds.
   * @returns milliseconds from the first request to the API server until it is Ready
   */
  async barePod(name: string, user: string): Promise<number> {
    const { client, namespace } = this.#cluster;
    const terminal = nameOf(user);
    const model = await client.get(pods, namespace, terminal);
    const secret = await client.get(secrets, namespace, `${terminal}-key`);
    const home = await client.get(volumeClaims, namespace, `${terminal}-home`);
    if (!model?.spec || !secret || !home?.spec) throw new Error(`there is no Pod ${terminal} to copy`);
    const { nodeName: _node, ...rest } = model.spec;
    const text = JSON.stringify(rest).replaceAll(`"${terminal}-`, `"${name}-`);
    const { accessModes, resources, storageClassName } = home.spec;
    const apply = <T extends KubeObject>(resource: Resource<T>, called: string, fields: object) => {
      const { apiVersion, kind } = resource;
      const object = { apiVersion, kind, metadata: { name: called, namespace }, ...fields };
      return client.apply(resource, object, { manager, force: true });
    };
    const began = performance.now();
    const ready = this.#until(name, isReady);
    const made = [
      apply(secrets, `${name}-key`, { data: secret.data }),
      apply(volumeClaims, `${name}-home`, { spec: { accessModes, resources, storageClassName } }),
      apply(pods, name, { spec: JSON.parse(text) }),
    ];
    const [at] = await Promise.all([ready, ...made]);
    return at - began;
  }

  /** As `kubectl annotate` would; resolves when the Pod is gone. */
  async stop(user: string): Promise<void> {
    const { client, namespace } = this.#cluster;
    // What was used at this very moment is not idle.
    const body = {
      metadata: { annotations: { [stopAnnotation]: new Date(Date.now() + 1_000).toISOString() } },
    };
    await client.request('PATCH', pathOf(terminals, namespace, nameOf(user)), {
      body,
      contentType: 'application/merge-patch+json',
    });
    await this.#until(nameOf(user), (pod) => pod === undefined);
    await until(
      async () => {
        const terminal = await client.get(terminals, namespace, nameOf(user));
        return terminal?.status?.phase === 'Idle' ? true : undefined;
      },
      10_000,
      'idle',
    );
  }

  async removePod(name: string): Promise<void> {
    const { client, namespace } = this.#cluster;
    const body = { gracePeriodSeconds: 0 };
    await client.request('DELETE', pathOf(pods, namespace, name), { body });
    await this.#until(name, (pod) => pod === undefined);
  }

  /** @returns when the watch said so, by `performance.now()` */
  async #until(name: string, so: (pod: Pod | undefined) => boolean): Promise<number> {
    const key = `${this.#cluster.namespace}/${name}`;
    const told = Promise.withResolvers<number>();
    const look = () => {
      if (so(this.#pods.get(key))) told.resolve(performance.now());
    };
    this.#pods.onChange(look);
    const timer = setTimeout(() => told.reject(new Error(`Pod ${name}: not so within 60 s`)), 60_000);
    look();
    return told.promise.finally(() => clearTimeout(timer));
  }
}

function nameOf(user: string): string {
  return terminalName({ policy: 'default' as PolicyId, user: user as UserId, context: null });
}

function isReady(pod: Pod | undefined): boolean {
  return pod?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
}
