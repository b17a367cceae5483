/** Terminals on a cluster as its users run it: operator and orchestrator, the real programs, each with a log file. @module */
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { end, freePort, start, until } from '../processes.ts';
import { launcher, nodeOptions, sharedKey } from './terminals.ts';

export interface OnClusterOptions {
  /** Where its policies and logs are. */
  readonly folder: string;
  readonly kubeconfig: string;
  readonly namespace: string;
  /** Of the terminals. */
  readonly image: string;
  /** Beside what every run has. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Arguments of Node itself, e.g. for a profile. */
  readonly nodeArgs?: readonly string[];
}

export interface ClusterProgram {
  readonly url: string;
  readonly pid: number;
  /** From its start until it was ready, which it is when everything was listed; milliseconds. */
  readonly readyMs: number;
  stop(): Promise<void>;
}

/** What `/ready` of the operator says beside the status. */
export interface OperatorState {
  readonly terminals: number;
  readonly queued: number;
}

/** Never idle, so that nothing happens in the middle of a measurement; little is set aside, so that a node takes several. */
export async function writePolicy(folder: string, memoryLimit: string): Promise<void> {
  await mkdir(path.join(folder, 'policies'), { recursive: true });
  await writeFile(
    path.join(folder, 'policies', 'default.yaml'),
    `apiVersion: terminals.openwebui.com/v1alpha1
kind: Policy
metadata: {name: default}
spec:
  resources: {requests: {cpu: 10m, memory: 64Mi}, limits: {cpu: "1", memory: ${memoryLimit}}}
  idleTimeoutMinutes: 0
`,
  );
}

/** Resolves when it is ready. */
export async function startOnCluster(
  command: 'serve' | 'operator',
  options: OnClusterOptions,
): Promise<ClusterProgram> {
  const { folder, nodeArgs = [] } = options;
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const logFile = path.join(folder, `${command}.log`);
  const log = await open(logFile, 'a');
  const began = performance.now();
  const child = start(process.execPath, [...nodeArgs, launcher, command], {
    cwd: folder,
    env: environment(options, port),
    stdio: ['ignore', log.fd, log.fd],
  });
  await log.close();
  try {
    await until(
      () => {
        if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
        return isReady(url);
      },
      60_000,
      `${command} is ready`,
    );
  } catch (error) {
    await end(child);
    const text = await readFile(logFile, 'utf8');
    throw new Error(`${command}: ${error}; its log ends with:\n${text.slice(-2_000)}`, { cause: error });
  }
  return { url, pid: child.pid ?? 0, readyMs: performance.now() - began, stop: () => end(child) };
}

async function isReady(url: string): Promise<true | undefined> {
  const response = await fetch(`${url}/ready`).catch(() => null);
  await response?.arrayBuffer();
  return response?.ok ? true : undefined;
}

export async function operatorState({ url }: ClusterProgram): Promise<OperatorState> {
  const response = await fetch(`${url}/ready`);
  return JSON.parse(await response.text());
}

function environment(options: OnClusterOptions, port: number): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('TERMINALS_'));
  return {
    ...Object.fromEntries(inherited),
    NODE_OPTIONS: nodeOptions,
    TERMINALS_BACKEND: 'kubernetes-operator',
    TERMINALS_API_KEY: sharedKey,
    TERMINALS_IMAGE: options.image,
    TERMINALS_HOST: '127.0.0.1',
    TERMINALS_PORT: String(port),
    TERMINALS_OPERATOR_PORT: String(port),
    TERMINALS_DATA_DIR: path.join(options.folder, 'data'),
    TERMINALS_POLICIES_DIR: path.join(options.folder, 'policies'),
    TERMINALS_KUBERNETES_KUBECONFIG: options.kubeconfig,
    TERMINALS_KUBERNETES_NAMESPACE: options.namespace,
    ...options.variables,
  };
}
