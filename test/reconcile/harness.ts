/** A reconciler over a backend in memory, with policies that a test edits as it goes. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import type { Logger } from 'pino';
import { createLogger } from '../../src/log.ts';
import { builtinPolicy } from '../../src/policy/builtin.ts';
import type { Policy, PolicySet, PolicySpec } from '../../src/policy/policy.ts';
import { ActivityStore } from '../../src/reconcile/activity-store.ts';
import type { HostLimits } from '../../src/reconcile/budget.ts';
import { GoodStore } from '../../src/reconcile/good-store.ts';
import { type Policies, Reconciler } from '../../src/reconcile/reconciler.ts';
import { ResetStore } from '../../src/reconcile/reset-store.ts';
import { Templates } from '../../src/reconcile/templates.ts';
import type { ContextId, PolicyId, TerminalKey, UserId } from '../../src/terminal/terminal.ts';
import { MemoryBackend } from './memory-backend.ts';

export function keyOf(user: string, policy = 'default', context: string | null = null): TerminalKey {
  return { policy: policy as PolicyId, user: user as UserId, context: context as ContextId | null };
}

/** A valid policy with these fields instead of the defaults. */
export function policyOf(changes: Partial<PolicySpec> = {}, id = 'default'): Policy {
  const base = builtinPolicy({ image: 'open-terminal:1' });
  return { ...base, id: id as PolicyId, spec: { ...base.spec, ...changes } };
}

/** Policies in force that change when a test says so. */
export class MemoryPolicies implements Policies {
  current: PolicySet;
  readonly #listeners: (() => void)[] = [];
  #edits = 0;

  constructor(...policies: readonly Policy[]) {
    this.current = setOf(policies, 0);
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** All of the policies that are in force from now on. */
  edit(...policies: readonly Policy[]): void {
    this.#edits += 1;
    this.current = setOf(policies, this.#edits);
    for (const listener of this.#listeners) listener();
  }
}

function setOf(policies: readonly Policy[], edits: number): PolicySet {
  return {
    revision: String(edits),
    policies: new Map(policies.map((policy) => [policy.id, policy])),
    problems: [],
  };
}

/** A log whose lines a test can read. */
export async function capturedLog(): Promise<{
  log: Logger;
  lines: Record<string, unknown>[];
  text(): string;
}> {
  const written: string[] = [];
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => {
    written.push(line);
    lines.push(JSON.parse(line));
  };
  const log = await createLogger({ level: 'debug', pretty: false, destination: { write } });
  return { log, lines, text: () => written.join('') };
}

export interface Harness {
  readonly backend: MemoryBackend;
  readonly policies: MemoryPolicies;
  readonly reconciler: Reconciler;
  readonly dataDir: string;
  readonly lines: readonly Record<string, unknown>[];
}

export interface HarnessOptions {
  readonly backend?: MemoryBackend;
  readonly policies?: MemoryPolicies;
  readonly resyncMs?: number;
  readonly host?: HostLimits;
  readonly start?: boolean;
  /** The data directory of another one, for a restart. */
  readonly dataDir?: string;
}

/** A started reconciler; closed when the test ends. */
export async function harness(t: TestContext, options: HarnessOptions = {}): Promise<Harness> {
  const { backend = new MemoryBackend(), policies = new MemoryPolicies(policyOf()) } = options;
  const { log, lines } = await capturedLog();
  const dataDir = options.dataDir ?? (await temporaryFolder());
  const reconciler = new Reconciler({
    backend,
    policies,
    templates: new Templates({}),
    activity: new ActivityStore(dataDir, log),
    revisions: new GoodStore(dataDir, log),
    resets: new ResetStore(dataDir, log),
    log,
    ...(options.resyncMs === undefined ? {} : { resyncMs: options.resyncMs }),
    ...(options.host === undefined ? {} : { host: options.host }),
  });
  if (options.start !== false) await reconciler.start();
  t.after(() => reconciler.close());
  return { backend, policies, reconciler, dataDir, lines };
}

export { turns } from './turns.ts';

const folders = new Set<string>();
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder of the test's own, removed at the end of the process: what a test leaves running may still write to it. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'terminals-test-'));
  folders.add(folder);
  return folder;
}

/** Waits until the condition holds; says what it waited for when it never does. */
export async function until(condition: () => boolean, what: string, timeoutMs = 5_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    assert.ok(performance.now() < end, `never came true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A port where nobody listens, and that nobody is given who takes any: those are higher. */
export function unusedPort(): number {
  return randomInt(20_000, 30_000);
}

/** A signal that never aborts. */
export const patient = new AbortController().signal;

/** Closed until opened; what awaits it waits. */
export function gate(): { readonly passed: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { passed: promise, open: resolve };
}
