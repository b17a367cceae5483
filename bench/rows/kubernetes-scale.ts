/**
 * Operator and orchestrator with 5,000 terminals that all run, on an API server without a node: starts, memory, and what is
 * written when nothing has changed and when a policy has.
 * @module
 */
import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathOf } from '../../src/kubernetes/objects.ts';
import { type TerminalResource, terminals } from '../../src/operator/terminal-resource.ts';
import { BenchCluster, kubeconfigFor } from '../cluster.ts';
import {
  type ClusterProgram,
  type OnClusterOptions,
  operatorState,
  startOnCluster,
  writePolicy,
} from '../contenders/on-cluster.ts';
import { callerHeaders } from '../contenders/terminals.ts';
import type { Context, RowGroup } from '../context.ts';
import { type CountingProxy, countingProxy, type Write } from '../counting-proxy.ts';
import { userPrefix } from '../docker.ts';
import { cpuUsed, memory, until } from '../processes.ts';
import { nodeSelector, startStandInNode } from '../stand-in-node.ts';
import { get } from './first-requests.ts';

const group = 'kubernetes-scale';
const row = 'terminals-5000';
const atOnce = 50;
const MiB = 1024 * 1024;
/** Longer than the orchestrator lets pass between two looks at everything. */
const resyncMs = 65_000;
/** Nothing more is to come after so much silence. */
const quietMs = 5_000;

type Side = 'operator' | 'orchestrator';
const commands = { operator: 'operator', orchestrator: 'serve' } as const;
const sides: readonly Side[] = ['operator', 'orchestrator'];

export const kubernetesScale: RowGroup = {
  name: group,
  rows: [row],
  async run(context) {
    const cluster = await BenchCluster.open(context.namespace);
    const node = await startStandInNode(cluster);
    const proxies = { operator: await countingProxy(cluster), orchestrator: await countingProxy(cluster) };
    const scale = new Scale(context, cluster, proxies);
    try {
      await scale.make(context.pick(5_000, 50));
      for (let round = 0; round < context.pick(3, 1); round += 1) await scale.startBoth();
      await scale.resync(context.pick(resyncMs, quietMs));
      await scale.edit();
    } finally {
      await scale.stopBoth();
      for (const side of sides) await proxies[side].close();
      await node.stop();
      await cluster.close();
    }
  },
};

class Scale {
  readonly #context: Context;
  readonly #cluster: BenchCluster;
  readonly #proxies: Readonly<Record<Side, CountingProxy>>;
  #programs: Partial<Record<Side, ClusterProgram>> = {};
  #count = 0;
  #memoryLimit = '1Gi';

  constructor(context: Context, cluster: BenchCluster, proxies: Readonly<Record<Side, CountingProxy>>) {
    this.#context = context;
    this.#cluster = cluster;
    this.#proxies = proxies;
  }

  /** By users' first requests, as many as are missing, so that everything is as the program itself makes it. */
  async make(count: number): Promise<void> {
    this.#count = count;
    await mkdir(this.#folder, { recursive: true });
    const { client, namespace } = this.#cluster;
    const { items } = await client.request<{ items: readonly TerminalResource[] }>(
      'GET',
      pathOf(terminals, namespace),
    );
    const own = items.filter(({ spec }) => spec.userId.startsWith(userPrefix));
    if (own[0] !== undefined) this.#memoryLimit = String(own[0].spec.resources.limits.memory);
    await writePolicy(this.#folder, this.#memoryLimit);
    for (const side of sides) await this.#start(side);
    const users = Array.from(
      { length: count - own.length },
      () => `${userPrefix}${randomUUID().slice(0, 8)}`,
    );
    if (users.length > 0) await this.#ask(users);
    await this.#quiet();
  }

  async #ask(users: string[]): Promise<void> {
    const url = this.#programs.orchestrator?.url ?? '';
    const title = `first requests of ${users.length.toLocaleString('en')} users, ${atOnce} at once`;
    const began = performance.now();
    const askNext = async () => {
      for (let user = users.pop(); user !== undefined; user = users.pop()) {
        const headers = callerHeaders(user);
        const served = async () => ((await get(`${url}/small`, headers)).status === 200 ? true : undefined);
        await until(served, 900_000, `${user} is served`, 1_000);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, askNext));
    this.#add('made', title, 's', (performance.now() - began) / 1000);
    for (const side of sides) this.#memory(side, 'made-peak', 'most memory while they were made');
  }

  /** One after the other. */
  async startBoth(): Promise<void> {
    await this.stopBoth();
    const before = this.#marks();
    const operator = await this.#start('operator');
    this.#add('operator-ready', `operator: start → synced, ${this.#title}`, 'ms', operator.readyMs);
    this.#add('operator-cpu', 'operator: of which CPU', 'ms', cpuUsed(operator.pid));
    const began = performance.now();
    await until(
      async () => ((await operatorState(operator)).queued === 0 ? true : undefined),
      60_000,
      'every Terminal was looked at',
    );
    const lookedAt = operator.readyMs + performance.now() - began;
    this.#add('operator-looked', 'operator: start → every Terminal looked at', 'ms', lookedAt);
    const orchestrator = await this.#start('orchestrator');
    this.#add(
      'orchestrator-ready',
      `orchestrator: start → synced, ${this.#title}`,
      'ms',
      orchestrator.readyMs,
    );
    this.#add('orchestrator-cpu', 'orchestrator: of which CPU', 'ms', cpuUsed(orchestrator.pid));
    await this.#quiet();
    for (const side of sides) {
      this.#add(`${side}-start-writes`, `${side}: writes at a start`, '', this.#since(before, side).length);
      this.#memory(side, 'start', 'memory after a start');
    }
  }

  /** Both have looked at everything again, and nothing had changed. */
  async resync(ms: number): Promise<void> {
    const before = this.#marks();
    await delay(ms);
    for (const side of sides)
      this.#add(`${side}-resync-writes`, `${side}: writes at a resync`, '', this.#since(before, side).length);
  }

  /** Another memory limit, which changes in place: each Terminal's spec once, then its Pod and its status. */
  async edit(): Promise<void> {
    const memoryLimit = this.#memoryLimit === '1Gi' ? '1536Mi' : '1Gi';
    const before = this.#marks();
    const began = performance.now();
    await writePolicy(this.#folder, memoryLimit);
    await until(
      () => (this.#since(before, 'orchestrator').length > 0 ? true : undefined),
      60_000,
      'the policy is in force',
    );
    const last = await this.#quiet();
    this.#add('edit', `policy edit: from the file to the last write`, 's', (last - began) / 1000);
    const writes = {
      operator: this.#since(before, 'operator'),
      orchestrator: this.#since(before, 'orchestrator'),
    };
    const specs = tally(writes.orchestrator, /\/terminals\/[^/]+$/);
    const wrong = this.#count - [...specs.values()].filter((times) => times === 1).length;
    const others = writes.orchestrator.length - total(specs);
    this.#add('edit-wrong', 'policy edit: Terminals whose spec was not written exactly once', '', wrong);
    this.#add('edit-spec', 'policy edit: writes of specs', '', total(specs));
    this.#add('edit-others', 'policy edit: other writes of the orchestrator', '', others);
    const statuses = tally(writes.operator, /\/terminals\/[^/]+\/status$/);
    const resizes = tally(writes.operator, /\/pods\/[^/]+\/resize$/);
    this.#add('edit-status', 'policy edit: writes of statuses', '', total(statuses));
    this.#add('edit-resize', 'policy edit: Pods resized', '', total(resizes));
    const rest = writes.operator.length - total(statuses) - total(resizes);
    this.#add('edit-rest', 'policy edit: other writes of the operator', '', rest);
    for (const side of sides)
      this.#memory(side, 'peak', 'most memory, from its start to after a policy edit');
  }

  async stopBoth(): Promise<void> {
    for (const side of sides) {
      await this.#programs[side]?.stop();
      delete this.#programs[side];
    }
  }

  async #start(side: Side): Promise<ClusterProgram> {
    const { url } = this.#proxies[side];
    const options: OnClusterOptions = {
      folder: this.#folder,
      kubeconfig: await kubeconfigFor(url, this.#folder, side),
      namespace: this.#cluster.namespace,
      image: 'ghcr.io/open-webui/open-terminal:latest',
      variables: { TERMINALS_KUBERNETES_NODE_SELECTOR: nodeSelector },
    };
    const program = await startOnCluster(commands[side], options);
    this.#programs[side] = program;
    return program;
  }

  get #folder(): string {
    return path.join(this.#context.folder, group);
  }

  get #title(): string {
    return `${this.#count.toLocaleString('en')} Terminals`;
  }

  #marks(): Readonly<Record<Side, number>> {
    const { operator, orchestrator } = this.#proxies;
    return { operator: operator.writes.length, orchestrator: orchestrator.writes.length };
  }

  #since(marks: Readonly<Record<Side, number>>, side: Side): readonly Write[] {
    return this.#proxies[side].writes.slice(marks[side]).filter(counts);
  }

  /** @returns when the last write was, by `performance.now()` */
  async #quiet(): Promise<number> {
    let seen = this.#marks();
    let last = performance.now();
    while (performance.now() - last < quietMs) {
      await delay(50);
      if (sides.every((side) => this.#since(seen, side).length === 0)) continue;
      seen = this.#marks();
      last = performance.now();
    }
    return last;
  }

  #memory(side: Side, id: string, title: string): void {
    const { now, peak } = memory(this.#programs[side]?.pid ?? 0);
    const value = id === 'start' ? now : peak;
    this.#add(`${side}-${id}`, `${side}: ${title}`, 'MiB', value / MiB);
  }

  #add(id: string, title: string, unit: string, value: number): void {
    this.#context.measurements.add({ id: `${row}.${id}`, title, unit, better: 'less' }, 'terminals', value);
  }
}

/** All but who leads, news of what was done, and the short-lived terminals that answer discovery. */
function counts({ path: of }: Write): boolean {
  return !/\/(leases|events)(\/|$)|\/[^/]*discovery[^/]*/.test(of);
}

/** How often each object was written. */
function tally(writes: readonly Write[], pattern: RegExp): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const { path: of } of writes) if (pattern.test(of)) times.set(of, (times.get(of) ?? 0) + 1);
  return times;
}

function total(times: ReadonlyMap<string, number>): number {
  return [...times.values()].reduce((sum, one) => sum + one, 0);
}
