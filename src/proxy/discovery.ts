/**
 * The answers that Open WebUI asks for without a user: taken once a workload from a short-lived terminal, before anybody
 * asks, since Open WebUI waits 3 seconds at most.
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Backend } from '../backend/backend.ts';
import { TerminalsError, TerminalUnreachableError } from '../errors.ts';
import { isMap } from '../json.ts';
import type { Policy, PolicySet } from '../policy/policy.ts';
import type { Templates } from '../reconcile/templates.ts';
import { authorityOf } from '../terminal/address.ts';
import { revisionOf } from '../terminal/desired.ts';
import { discoveryUser, terminalName } from '../terminal/names.ts';
import type {
  ContextId,
  Desired,
  Revision,
  RunningTerminal,
  Template,
  TerminalKey,
} from '../terminal/terminal.ts';

/** The paths that are answered without a user. */
export const discoveryPaths = ['/openapi.json', '/system', '/api/config'] as const;
export type DiscoveryPath = (typeof discoveryPaths)[number];

export interface DiscoveryAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

type Answers = ReadonlyMap<DiscoveryPath, DiscoveryAnswer>;

export interface DiscoveryOptions {
  readonly backend: Backend;
  readonly policies: { readonly current: PolicySet; onChange(listener: () => void): void };
  readonly templates: Templates;
  /** Takes the room on the host for a start (see `Reconciler.admit`). */
  readonly admit?: (desired: Desired) => Promise<() => void>;
  readonly log: Logger;
}

/** What a request waits for answers that are not there yet: less than Open WebUI's own 3 s. */
const waitMs = 2_500;
/** After a failure the next try waits this long. */
const retryMs = 30_000;
const answerTimeoutMs = 5_000;
/** An operator stops one that a crash left behind. */
const leftoverMs = 5 * 60_000;

export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #answers = new Map<Revision, Answers>();
  /** The answers last given for a policy: better than none while new ones can't be had. */
  readonly #lastGood = new Map<string, Answers>();
  /** When the last try failed. */
  readonly #failedAt = new Map<Revision, number>();
  readonly #taking = new Map<Revision, Promise<Answers>>();
  readonly #stopping = new AbortController();
  /** Of this process, where others take answers from terminals of their own at the same time. */
  readonly #context: ContextId | null;
  #queue: Promise<unknown> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#context = options.backend.shared ? (`discovery:${crypto.randomUUID()}` as ContextId) : null;
  }

  /**
   * Removes what a crash left behind, then takes the answers of every policy, and again whenever policies change.
   * @param pauseMs so long nothing is taken that nobody asks for
   */
  async start(pauseMs = 0): Promise<void> {
    const { signal } = this.#stopping;
    this.#options.policies.onChange(() => this.#takeAll());
    await this.#removeLeftovers();
    await delay(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
    if (!signal.aborted) this.#takeAll();
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#retry);
    await Promise.allSettled([...this.#taking.values(), this.#queue]);
  }

  /** @throws TerminalUnreachableError when there is no answer yet */
  async answer(policy: Policy, path: DiscoveryPath): Promise<DiscoveryAnswer> {
    const template = discoveryTemplate(this.#options.templates.of(policy));
    const ready = this.#answers.get(template.revision);
    const answers = ready ?? (await this.#soon(policy, template));
    const answer = answers?.get(path);
    if (answer) return answer;
    throw new TerminalUnreachableError(
      `The terminals of policy "${policy.id}" have not told their ${path} yet.`,
      'It is taken from a short-lived terminal as soon as one starts; try again in a few seconds, or after a failure, which the log tells of, in half a minute.',
    );
  }

  async #soon(policy: Policy, template: Template): Promise<Answers | undefined> {
    const lastGood = this.#lastGood.get(policy.id);
    if (lastGood) return lastGood;
    // Anybody may ask, and no caller's question is worth one container after the other.
    const failedAt = this.#failedAt.get(template.revision);
    if (failedAt !== undefined && performance.now() - failedAt < retryMs) return undefined;
    const late = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => late.resolve(undefined), waitMs);
    try {
      return await Promise.race([this.#take(policy, template).catch(() => undefined), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  #takeAll(): void {
    const { policies, templates } = this.#options;
    const current = new Set<Revision>();
    for (const policy of policies.current.policies.values()) {
      const template = discoveryTemplate(templates.of(policy));
      current.add(template.revision);
      this.#take(policy, template).catch(() => this.#retryLater());
    }
    for (const known of [this.#answers, this.#failedAt])
      for (const revision of known.keys()) if (!current.has(revision)) known.delete(revision);
  }

  #retryLater(): void {
    if (this.#stopping.signal.aborted) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#takeAll(), retryMs).unref();
  }

  /** Joined for equal revisions, one terminal at a time: users' own starts come first. */
  #take(policy: Policy, template: Template): Promise<Answers> {
    const { revision } = template;
    const known = this.#answers.get(revision);
    if (known) {
      this.#lastGood.set(policy.id, known);
      return Promise.resolve(known);
    }
    const joined = this.#taking.get(revision);
    if (joined) return joined;
    const taking = this.#queue
      .then(() => this.#ask(policy, template))
      .finally(() => this.#taking.delete(revision));
    this.#queue = taking.catch(() => undefined);
    this.#taking.set(revision, taking);
    return taking;
  }

  async #ask(policy: Policy, template: Template): Promise<Answers> {
    const { backend, admit, log } = this.#options;
    const { signal } = this.#stopping;
    let leave: (() => void) | undefined;
    const key: TerminalKey = { policy: policy.id, user: discoveryUser, context: this.#context };
    const desired: Desired = { key, name: terminalName(key), ...template };
    const progress = (detail: string) =>
      log.info({ policy: policy.id, progress: detail }, 'preparing the policy');
    try {
      signal.throwIfAborted();
      await backend.prepare(template.workload, progress, signal);
      leave = await admit?.(desired);
      const terminal = await backend.create(desired, progress, signal);
      const answers = await askAll(terminal, signal);
      this.#answers.set(template.revision, answers);
      this.#failedAt.delete(template.revision);
      this.#lastGood.set(policy.id, answers);
      return answers;
    } catch (error) {
      this.#failedAt.set(template.revision, performance.now());
      if (!signal.aborted)
        log[error instanceof TerminalsError ? 'warn' : 'error'](
          { err: error, policy: policy.id },
          'discovery failed',
        );
      throw error;
    } finally {
      await this.#remove(key);
      leave?.();
    }
  }

  async #remove(key: TerminalKey): Promise<void> {
    const { backend, log } = this.#options;
    // Also at shutdown: it must not stay running, so that this has a limit of its own.
    await backend
      .remove(key, { files: true }, AbortSignal.timeout(10_000))
      .catch((error: unknown) =>
        log.warn({ err: error, policy: key.policy }, 'discovery terminal not removed'),
      );
  }

  async #removeLeftovers(): Promise<void> {
    try {
      const all = await this.#options.backend.list(this.#stopping.signal, discoveryUser);
      // One that runs may be another process's; its operator stops it when that one has crashed.
      const left = all.filter(
        ({ key, operated, phase }) =>
          key.user === discoveryUser && (!operated || phase === 'Idle' || phase === 'Error'),
      );
      await Promise.all(left.map(({ key }) => this.#remove(key)));
    } catch {
      // No engine yet: the reconciler says so, and `create` replaces one that is in the way.
    }
  }
}

/** A policy's terminal without what does not change its answers and would cost time. */
function discoveryTemplate(template: Template): Template {
  const workload = {
    ...template.workload,
    secretEnv: {},
    packages: [],
    pipPackages: [],
    allowedDomains: null,
    mounts: [],
    persistent: false,
  };
  return {
    ...template,
    workload,
    idleTimeoutMs: leftoverMs,
    suspended: false,
    revision: revisionOf(workload),
  };
}

async function askAll(terminal: RunningTerminal, signal: AbortSignal): Promise<Answers> {
  const entries = await Promise.all(
    discoveryPaths.map(async (path) => [path, await ask(terminal, path, signal)] as const),
  );
  return new Map(entries);
}

async function ask(
  terminal: RunningTerminal,
  path: DiscoveryPath,
  signal: AbortSignal,
): Promise<DiscoveryAnswer> {
  const response = await fetch(`http://${authorityOf(terminal.address)}${path}`, {
    headers: { authorization: `Bearer ${terminal.apiKey}` },
    signal: AbortSignal.any([signal, AbortSignal.timeout(answerTimeoutMs)]),
  });
  const body = await response.text();
  return {
    status: response.status,
    contentType: response.headers.get('content-type') ?? 'application/json',
    body: path === '/openapi.json' && response.ok ? withoutSecurity(body) : body,
  };
}

/** The caller authenticates to Terminals, never to a terminal, so that the document must not ask it to. */
export function withoutSecurity(document: string): string {
  const parsed: unknown = JSON.parse(document);
  if (!isMap(parsed)) return document;
  const operations = Object.values(isMap(parsed.paths) ? parsed.paths : {})
    .filter(isMap)
    .flatMap(Object.values)
    .filter(isMap);
  for (const part of [parsed, ...operations]) delete part.security;
  if (isMap(parsed.components)) delete parsed.components.securitySchemes;
  return JSON.stringify(parsed);
}
