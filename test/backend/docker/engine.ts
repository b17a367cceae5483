/** The real engine for tests: backends on it, terminals of the test's own, and the removal of all they leave. @module */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import Docker from 'dockerode';
import pino from 'pino';
import type { BackendListener } from '../../../src/backend/backend.ts';
import { labels } from '../../../src/backend/docker/container.ts';
import { DockerBackend, type DockerBackendOptions } from '../../../src/backend/docker/docker-backend.ts';
import { type Declaration, desiredOf, renderTemplate } from '../../../src/terminal/desired.ts';
import type {
  Actual,
  ContextId,
  Desired,
  PolicyId,
  RunningTerminal,
  TerminalKey,
  UserId,
} from '../../../src/terminal/terminal.ts';

export const docker = new Docker();
export const openTerminal = 'ghcr.io/open-webui/open-terminal:latest';
export const silent = pino({ level: 'silent' });
export const never = new AbortController().signal;
export const quiet = () => undefined;

/** Our own network of this process's tests: no other's is made or removed. */
const ownNetwork = `terminals-test-${randomBytes(4).toString('hex')}`;

export const declaration: Declaration = {
  image: openTerminal,
  resources: { limits: { cpu: '500m', memory: '256Mi', pids: 200 } },
  packages: [],
  pipPackages: [],
  persistence: { enabled: true },
  idleTimeoutMinutes: 30,
  contextRetentionDays: 30,
  env: {},
  mounts: [],
  rollout: { when: 'idle', idleAfterMinutes: 5, maxUnavailable: '10%', pauseOnFailures: 3 },
  startTimeoutSeconds: 60,
  suspend: false,
};

/** One test's terminals: under a policy that nobody else has. */
export interface Place {
  readonly policy: string;
  readonly dataDir: string;
  key(user: string, context?: string): TerminalKey;
  desired(user: string, changes?: Partial<Declaration>, context?: string): Desired;
  /** A backend as after a start of Terminals. */
  backend(options?: Partial<DockerBackendOptions>): DockerBackend;
}

/** After the test, its containers, its homes and what network they made are removed. */
export async function placeFor(t: TestContext): Promise<Place> {
  const policy = `test-${randomBytes(4).toString('hex')}`;
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'terminals-docker-'));
  const backends: DockerBackend[] = [];
  t.after(async () => {
    for (const backend of backends) await backend.close();
    for (const id of await containersOf(policy)) await removeContainer(id);
    await removeNetwork(ownNetwork);
    await rm(dataDir, { recursive: true, force: true, maxRetries: 3 });
  });
  const key = (user: string, context?: string): TerminalKey => ({
    policy: policy as PolicyId,
    user: user as UserId,
    context: context === undefined ? null : (context as ContextId),
  });
  return {
    policy,
    dataDir,
    key,
    desired: (user, changes = {}, context = undefined) =>
      desiredOf(key(user, context), renderTemplate({ ...declaration, ...changes })),
    backend(options = {}) {
      const common = { dataDir, networks: [], ownNetwork, publishHost: '127.0.0.1', mounts: [] };
      const backend = new DockerBackend({ ...common, log: silent, docker, ...options });
      backends.push(backend);
      return backend;
    },
  };
}

/** Ids of all containers of a policy, also of those that do not run. */
export async function containersOf(policy: string): Promise<string[]> {
  const filters = { label: [`${labels.policy}=${policy}`] };
  return (await docker.listContainers({ all: true, filters })).map(({ Id }) => Id);
}

export async function removeContainer(nameOrId: string): Promise<void> {
  await docker
    .getContainer(nameOrId)
    .remove({ force: true, v: true })
    .catch(() => undefined);
}

/** @returns whether it is gone; one that is in use stays */
export async function removeNetwork(name: string): Promise<boolean> {
  return docker
    .getNetwork(name)
    .remove()
    .then(
      () => true,
      () => false,
    );
}

/** A network of the test's own. */
export async function networkFor(t: TestContext): Promise<string> {
  const name = `terminals-test-${randomBytes(4).toString('hex')}`;
  await docker.createNetwork({ Name: name, Driver: 'bridge' });
  removedAfter(t, name);
  return name;
}

/** The name of a network for a backend to make as its own. */
export function ownNetworkFor(t: TestContext): string {
  const name = `terminals-test-${randomBytes(4).toString('hex')}`;
  removedAfter(t, name);
  return name;
}

function removedAfter(t: TestContext, network: string): void {
  t.after(async () => {
    // Tests clean up in the order of their making: who is in it may still be there.
    const there = await docker
      .getNetwork(network)
      .inspect()
      .catch(() => null);
    for (const id of Object.keys(there?.Containers ?? {})) await removeContainer(id);
    await removeNetwork(network);
  });
}

/** An image of the test's own: Open Terminal's, with changes as a Dockerfile's instructions. */
export async function imageWith(t: TestContext, ...changes: string[]): Promise<string> {
  const repo = `terminals-test-${randomBytes(4).toString('hex')}`;
  const container = await docker.createContainer({ Image: openTerminal });
  try {
    await container.commit({ repo, tag: 'latest', changes: ['LABEL test=terminals', ...changes].join('\n') });
  } finally {
    await removeContainer(container.id);
  }
  t.after(async () => {
    // Tests clean up in the order of their making: the containers of this image may still be there.
    const filters = { ancestor: [repo] };
    for (const { Id } of await docker.listContainers({ all: true, filters })) await removeContainer(Id);
    await docker.getImage(repo).remove({ force: true });
  });
  return `${repo}:latest`;
}

/** Answers where Open Terminal would, and starts and ends far faster. */
export const fastServer = `import os,signal,socket
signal.signal(signal.SIGTERM,lambda *a:os._exit(0))
s=socket.create_server(('',8000))
while 1:
 c=s.accept()[0]
 c.recv(9999)
 c.sendall(b'HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\nconnection: close\\r\\n\\r\\n{}')
 c.close()`;

/** A program of Python's in the place of Open Terminal, for `imageWith`. */
export function pythonEntrypoint(program: string): string {
  return `ENTRYPOINT ${JSON.stringify(['python3', '-I', '-S', '-c', program])}`;
}

/** What a terminal answers to a shell command. */
export async function execute(terminal: RunningTerminal, command: string): Promise<string> {
  const { host, port } = terminal.address;
  const response = await fetch(`http://${host}:${port}/execute?wait=20`, {
    method: 'POST',
    headers: { authorization: `Bearer ${terminal.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ command }),
  });
  const body = await response.text();
  assert.equal(response.status, 200, body);
  const { output, status }: { output: { data: string }[]; status: string } = JSON.parse(body);
  assert.equal(status, 'done', body);
  return output
    .map(({ data }) => data)
    .join('')
    .replaceAll('\r\n', '\n')
    .trim();
}

/** Has a process of the terminal hold so many MiB until it is killed. @returns its pid */
export function holdMemory(terminal: RunningTerminal, mebibytes: number): Promise<string> {
  const holding = `import time; held = bytearray(${mebibytes} << 20); print(1, flush=True); time.sleep(999)`;
  return execute(
    terminal,
    `python3 -c '${holding}' > /tmp/held 2>&1 & pid=$!; until grep -q 1 /tmp/held; do sleep .1; done; echo $pid`,
  );
}

/** Prints the limits that a container's control group holds, of either version: memory, processes, CPU. */
export const readLimits = `cd /sys/fs/cgroup
if [ -f memory.max ]; then cat memory.max pids.max cpu.max
else cat memory/memory.limit_in_bytes pids/pids.max; echo $(cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us); fi`;

/** What `readLimits` printed: bytes, processes, and thousandths of a core. */
export function limitsFrom(printed: string): { memoryBytes: number; pids: number; cpuMillis: number } {
  const [memory, pids, cpu = ''] = printed.split('\n');
  const [quota, period] = cpu.split(' ').map(Number);
  return {
    memoryBytes: Number(memory),
    pids: Number(pids),
    cpuMillis: (1000 * (quota ?? Number.NaN)) / (period ?? 1),
  };
}

/** Waits until a condition holds. */
export async function until<T>(
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs: number,
  describe: () => string = () => '',
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    assert.ok(performance.now() < end, `nothing came within ${timeoutMs} ms: ${describe()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** What a backend told about one user's terminals under one policy, newest last; `gone` where there was none any more. */
export class Told implements BackendListener {
  readonly count = 0;
  readonly phases: string[] = [];
  readonly relists: (readonly Actual[])[] = [];
  readonly #key: TerminalKey;

  constructor(key: TerminalKey) {
    this.#key = key;
  }

  changed(key: TerminalKey, actual: Actual | undefined): void {
    if (key.user === this.#key.user && key.policy === this.#key.policy)
      this.phases.push(actual?.phase ?? 'gone');
  }

  relisted(all: readonly Actual[]): void {
    this.relists.push(all);
  }

  /** Resolves when the last thing told is this phase. */
  async phase(wanted: string, timeoutMs = 5_000): Promise<void> {
    const describe = () => `told ${this.phases.join(', ') || 'nothing'}, not ${wanted}`;
    await until(() => this.phases.at(-1) === wanted, timeoutMs, describe);
  }
}

/** Follows a backend's events until the end of the test, from when it has listed for the first time. */
export async function watch(t: TestContext, backend: DockerBackend, key: TerminalKey): Promise<Told> {
  const told = new Told(key);
  const stop = new AbortController();
  t.after(() => stop.abort());
  backend.watch(told, stop.signal);
  await until(() => told.relists.length > 0, 5_000);
  return told;
}
