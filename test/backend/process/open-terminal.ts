/** A process backend with the real Open Terminal, which is installed once for all test files and runs. @module */
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import pino from 'pino';
import type { BackendListener } from '../../../src/backend/backend.ts';
import { trialUid } from '../../../src/backend/process/accounts.ts';
import { installOpenTerminal, openTerminalVersion } from '../../../src/backend/process/install.ts';
import { ProcessBackend } from '../../../src/backend/process/process-backend.ts';
import { desiredOf, renderTemplate } from '../../../src/terminal/desired.ts';
import type {
  ContextId,
  Desired,
  PolicyId,
  RunningTerminal,
  SecretReference,
  TerminalKey,
  UserId,
} from '../../../src/terminal/terminal.ts';

export const root = process.getuid?.() === 0;
export const silent = pino({ level: 'silent' });
export const never = new AbortController().signal;
export const quiet = () => undefined;

/**
 * A data directory that has Open Terminal already; removed with its terminals after the test.
 * @param below its place in a folder of the test's own
 */
export async function dataDirectory(t: TestContext, below = ''): Promise<string> {
  const shared = path.join(os.tmpdir(), 'terminals-test-open-terminal');
  await mkdir(path.join(shared, '.terminals'), { recursive: true });
  const { env: environment } = process;
  const usableBy = root ? trialUid : undefined;
  await installOpenTerminal({ dataDir: shared, environment, progress: quiet, signal: never, usableBy });
  const folder = await mkdtemp(path.join(os.tmpdir(), 'terminals-process-'));
  const dataDir = path.join(folder, below);
  // The terminals first: without their records nobody would know them.
  t.after(async () => {
    await removeAll(dataDir);
    await removeDirectory(folder);
  });
  const name = `open-terminal-${openTerminalVersion}`;
  await mkdir(path.join(dataDir, '.terminals'), { recursive: true });
  await symlink(path.join(shared, '.terminals', name), path.join(dataDir, '.terminals', name));
  return dataDir;
}

export async function emptyDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'terminals-process-'));
  t.after(() => removeDirectory(directory));
  return directory;
}

function removeDirectory(directory: string): Promise<void> {
  return rm(directory, { recursive: true, force: true, maxRetries: 3 });
}

/** A backend as after a start of Terminals. */
export function backendOf(
  t: TestContext,
  dataDir: string,
  secretsDir: string | null = null,
  log = silent,
): ProcessBackend {
  const backend = new ProcessBackend({ dataDir, environment: process.env, secretsDir, log });
  t.after(() => backend.close());
  return backend;
}

async function removeAll(dataDir: string): Promise<void> {
  const backend = new ProcessBackend({ dataDir, environment: {}, log: silent });
  for (const { key } of await backend.list(never)) await backend.remove(key, { files: true }, never);
  await backend.close();
}

export function keyOf(user: string, { policy = 'test', context = null as string | null } = {}): TerminalKey {
  return { policy: policy as PolicyId, user: user as UserId, context: context as ContextId | null };
}

interface Wanted {
  readonly policy?: string;
  readonly context?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly secretEnv?: Readonly<Record<string, SecretReference>>;
  readonly persistent?: boolean;
  readonly pipPackages?: readonly string[];
  readonly startTimeoutSeconds?: number;
}

/** The desired state of a user's terminal. */
export function desired(user: string, wanted: Wanted = {}): Desired {
  const template = renderTemplate({
    image: 'open-terminal',
    resources: { limits: { cpu: 1, memory: '1Gi', pids: 100 } },
    packages: [],
    pipPackages: wanted.pipPackages ?? [],
    persistence: { enabled: wanted.persistent ?? true },
    idleTimeoutMinutes: 30,
    contextRetentionDays: 30,
    env: wanted.env ?? {},
    secretEnv: wanted.secretEnv ?? {},
    mounts: [],
    rollout: { when: 'idle', idleAfterMinutes: 10, maxUnavailable: '10%', pauseOnFailures: 3 },
    startTimeoutSeconds: wanted.startTimeoutSeconds ?? 60,
    suspend: false,
  });
  const { policy, context = null } = wanted;
  return desiredOf(keyOf(user, policy === undefined ? { context } : { policy, context }), template);
}

/** Runs a command in a terminal and waits for its end. */
export async function execute(
  terminal: RunningTerminal,
  command: string,
): Promise<{ readonly output: string; readonly exitCode: number | null }> {
  const url = `http://${terminal.address.host}:${terminal.address.port}/execute?wait=20`;
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${terminal.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ command }),
  });
  if (!response.ok) throw new Error(`/execute answered ${response.status}: ${await response.text()}`);
  const answer = (await response.json()) as { output: { data: string }[]; exit_code: number | null };
  const output = answer.output.map(({ data }) => data.replaceAll('\r\n', '\n')).join('');
  return { output, exitCode: answer.exit_code };
}

/** Collects what a backend tells, and waits for it. */
export class Told implements BackendListener {
  readonly count = 0;
  readonly changes: { readonly key: TerminalKey; readonly phase: string | undefined }[] = [];
  #waiting: (() => void) | null = null;

  changed(key: TerminalKey, actual: { readonly phase: string } | undefined): void {
    this.changes.push({ key, phase: actual?.phase });
    this.#waiting?.();
  }

  relisted(): void {}

  /** Resolves when a change was told, at once if one was already. */
  first(): Promise<void> {
    if (this.changes.length > 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }
}
