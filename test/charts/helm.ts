/** The chart as `helm` renders it, and why a test is skipped where helm, kubectl or a cluster is not at hand. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseAllDocuments, stringify } from 'yaml';
import { at } from '../../charts/generate.ts';

const run = promisify(execFile);
const required = (process.env.TERMINALS_TEST_REQUIRE ?? '').split(',').map((name) => name.trim());

export const chart = fileURLToPath(new URL('../../charts/terminals', import.meta.url));

/** Runs a program to its end; `ok` is false where it failed. */
export async function call(
  program: string,
  args: readonly string[],
  input = '',
): Promise<{ readonly ok: boolean; readonly out: string; readonly err: string }> {
  try {
    const running = run(program, [...args], { maxBuffer: 64 * 1024 * 1024, timeout: 50_000 });
    // One that reads nothing may have ended already.
    running.child.stdin?.on('error', () => undefined).end(input);
    const { stdout, stderr } = await running;
    return { ok: true, out: stdout, err: stderr };
  } catch (error) {
    const { stdout = '', stderr = String(error) }: { stdout?: string; stderr?: string } = Object(error);
    return { ok: false, out: stdout, err: stderr };
  }
}

function missing(what: string): string {
  if (required.includes('kubernetes'))
    throw new Error(`${what}, and TERMINALS_TEST_REQUIRE asks for kubernetes`);
  return `skipped: ${what}`;
}

/** False where the program is on the PATH, else why the test is skipped. */
export async function without(program: 'helm' | 'kubectl'): Promise<string | false> {
  const { ok } = await call(program, program === 'helm' ? ['version'] : ['version', '--client']);
  return ok ? false : missing(`no ${program} on the PATH`);
}

/** False where helm and a cluster are at hand. */
export async function withoutCluster(): Promise<string | false> {
  if (!process.env.KUBECONFIG) return missing('no cluster (KUBECONFIG is not set)');
  for (const program of ['helm', 'kubectl'] as const) {
    const why = await without(program);
    if (why !== false) return why;
  }
  const { ok } = await call('kubectl', ['get', '--raw', '/readyz', '--request-timeout=5s']);
  return ok ? false : missing('no cluster (the API server does not answer)');
}

/** What `terminals validate` says of policy files; empty where it finds nothing. */
export async function problemsOf(directory: string): Promise<string> {
  const launcher = fileURLToPath(new URL('../../src/terminals.js', import.meta.url));
  const { ok, out, err } = await call(process.execPath, [launcher, 'validate', directory]);
  return ok ? '' : out + err;
}

/** One rendered object, read by paths such as `spec.template.spec`. */
export class Rendered {
  readonly content: unknown;

  constructor(content: unknown) {
    this.content = content;
  }

  get(keys: string): unknown {
    return at(this.content, keys.split('.'));
  }

  get kind(): string {
    return String(this.get('kind'));
  }

  get name(): string {
    return String(this.get('metadata.name'));
  }
}

export interface RenderOptions {
  readonly values?: unknown;
  readonly chart?: string;
  readonly release?: string;
  readonly namespace?: string;
  readonly arguments?: readonly string[];
}

/** What `helm template` says, as text. */
export async function template(options: RenderOptions = {}) {
  const { values = {}, release = 'web', namespace = 'ai' } = options;
  const args = ['template', release, options.chart ?? chart, '--namespace', namespace, '--values', '-'];
  return call('helm', [...args, ...(options.arguments ?? [])], stringify(values));
}

/** The objects that helm renders. */
export async function render(options: RenderOptions = {}): Promise<readonly Rendered[]> {
  const { ok, out, err } = await template(options);
  if (!ok) throw new Error(err);
  return parseAllDocuments(out)
    .map((document) => new Rendered(document.toJS()))
    .filter(({ content }) => content !== null);
}

/** The only one of a kind and name. */
export function find(objects: readonly Rendered[], kind: string, name: string): Rendered {
  const found = objects.filter((object) => object.kind === kind && object.name === name);
  const [first] = found;
  if (first === undefined || found.length > 1) {
    const there = objects.map((object) => `${object.kind}/${object.name}`).join(', ');
    throw new Error(`expected one ${kind}/${name} among ${there}`);
  }
  return first;
}

/** A list, of what can be anything. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The variables of a workload's first container that have a value of their own. */
export function environment(workload: Rendered): Readonly<Record<string, unknown>> {
  const variables = list(workload.get('spec.template.spec.containers.0.env'));
  return Object.fromEntries(
    variables.map((variable) => [String(at(variable, ['name'])), at(variable, ['value'])]),
  );
}

/** A directory for one test, gone when `body` ends. */
export async function inDirectory(
  files: Readonly<Record<string, string>>,
  body: (dir: string) => Promise<void>,
) {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'terminals-chart-'));
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(path.join(dir, name), text);
    await body(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** A namespace of its own, gone when `body` ends. Pods in it that break "restricted" are warned of. */
export async function inNamespace(body: (namespace: string) => Promise<void>): Promise<void> {
  const name = `chart-${process.pid}-${Date.now().toString(36)}`;
  const labels = {
    'pod-security.kubernetes.io/warn': 'restricted',
    'pod-security.kubernetes.io/enforce': 'restricted',
  };
  const namespace = stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
  const made = await call('kubectl', ['create', '-f', '-'], namespace);
  if (!made.ok) throw new Error(made.err);
  try {
    await body(name);
  } finally {
    await call('kubectl', ['delete', 'namespace', name, '--wait=false']);
  }
}
