/**
 * All terminals of a namespace in memory, from three informers, and who is told when one changes.
 * @module
 */
import type { Logger } from 'pino';
import { EngineUnavailableError } from '../../errors.ts';
import type { KubeClient } from '../../kubernetes/client.ts';
import { Informer } from '../../kubernetes/informer.ts';
import { type KubeObject, type Pod, pods, type Secret, secrets } from '../../kubernetes/objects.ts';
import { apiKeyField, childNames, childSelector } from '../../operator/child-names.ts';
import { terminalNameOf } from '../../operator/ownership.ts';
import { type TerminalResource, terminals } from '../../operator/terminal-resource.ts';
import { othersTerminal } from './failures.ts';
import type { Parts } from './observe.ts';
import { otherOwner } from './orchestrator-label.ts';

export interface TerminalCacheOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  /** Of others the Terminals are not there. */
  readonly orchestrator: string;
  readonly log: Logger;
  /** How long `ready` waits. */
  readonly syncMs: number;
}

/** Told that a terminal, its Pod or its Secret changed; `gone` is the Terminal as it was when it was deleted. */
export type Changed = (name: string, gone: TerminalResource | undefined) => void;

export class TerminalCache {
  readonly terminals: Informer<TerminalResource>;
  readonly #pods: Informer<Pod>;
  readonly #secrets: Informer<Secret>;
  readonly #namespace: string;
  readonly #orchestrator: string;
  readonly #log: Logger;
  /** The other orchestrators that were told of. */
  readonly #others = new Set<string>();
  readonly #syncMs: number;
  readonly #stopping = new AbortController();
  readonly #listeners = new Set<Changed>();
  readonly #synced: Promise<unknown>;
  #running: Promise<unknown> | null = null;

  constructor({ client, namespace, orchestrator, log, syncMs }: TerminalCacheOptions) {
    this.#namespace = namespace;
    this.#orchestrator = orchestrator;
    this.#log = log;
    this.#syncMs = syncMs;
    const of = { client, namespace, log };
    const child = { ...of, labelSelector: childSelector };
    this.terminals = new Informer({ ...of, resource: terminals });
    this.#pods = new Informer({ ...child, resource: pods, slim: slimPod });
    this.#secrets = new Informer({ ...child, resource: secrets, slim: slimSecret });
    this.#synced = Promise.all(this.#informers.map(({ synced }) => synced));
    this.terminals.onChange((now, before) => {
      const [is, was] = [this.#own(now), this.#own(before)];
      const terminal = is ?? was;
      if (terminal !== undefined) this.#tell(terminal.metadata.name, is === undefined ? was : undefined);
    });
    const changed = (now: KubeObject | undefined, before: KubeObject | undefined) => {
      const child = now ?? before;
      const name = child && terminalNameOf(child);
      if (name !== undefined) this.#tell(name, undefined);
    };
    this.#pods.onChange(changed);
    this.#secrets.onChange(changed);
  }

  /**
   * Begins to list and watch, at the first call, and waits until everything was listed once.
   * @throws EngineUnavailableError where that takes too long
   */
  async ready(signal: AbortSignal): Promise<void> {
    this.start();
    if (this.hasSynced) return;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(unavailable(this.#namespace)), this.#syncMs).unref();
    const abort = () => late.reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      signal.throwIfAborted();
      await Promise.race([this.#synced, late.promise]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }

  start(): void {
    this.#running ??= Promise.all(this.#informers.map((informer) => informer.run(this.#stopping.signal)));
  }

  get hasSynced(): boolean {
    return this.#informers.every(({ hasSynced }) => hasSynced);
  }

  /** Resolves when everything was listed once, however long that takes. */
  get synced(): Promise<unknown> {
    return this.#synced;
  }

  /** A Terminal with its Pod and its Secret; undefined where there is none. */
  get(name: string): Parts | undefined {
    const terminal = this.#own(this.terminals.get(this.#key(name)));
    return terminal && this.#partsOf(terminal);
  }

  *all(): Generator<Parts> {
    for (const terminal of this.terminals.values())
      if (this.#own(terminal) !== undefined) yield this.#partsOf(terminal);
  }

  /** @throws EngineUnavailableError where there is a Terminal of this name, and it is another orchestrator's */
  throwIfOthers(name: string): void {
    const terminal = this.terminals.get(this.#key(name));
    const owner = terminal === undefined ? null : otherOwner(terminal, this.#orchestrator);
    if (owner !== null) throw othersTerminal(name, owner);
  }

  /** The labels of the other orchestrators whose Terminals were met, sorted. */
  get others(): readonly string[] {
    return [...this.#others].sort();
  }

  onChange(listener: Changed): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  #own(terminal: TerminalResource | undefined): TerminalResource | undefined {
    const owner = terminal === undefined ? null : otherOwner(terminal, this.#orchestrator);
    if (owner === null) return terminal;
    if (!this.#others.has(owner)) {
      this.#others.add(owner);
      const fields = { orchestrator: this.#orchestrator, other: owner, namespace: this.#namespace };
      this.#log.warn(fields, 'the Terminals of another orchestrator in this namespace are left alone');
    }
    return undefined;
  }

  #partsOf(terminal: TerminalResource): Parts {
    const names = childNames(terminal);
    return {
      terminal,
      pod: this.#pods.get(this.#key(names.pod)),
      secret: this.#secrets.get(this.#key(names.secret)),
    };
  }

  #key(name: string): string {
    return `${this.#namespace}/${name}`;
  }

  #tell(name: string, gone: TerminalResource | undefined): void {
    for (const listener of this.#listeners) listener(name, gone);
  }

  get #informers() {
    return [this.terminals, this.#pods, this.#secrets];
  }
}

function unavailable(namespace: string): EngineUnavailableError {
  return new EngineUnavailableError(
    `The Kubernetes API server did not list the terminals of namespace "${namespace}".`,
    'Look in the log for its answer; the account needs to list terminals, pods and secrets there, and the Terminal resource must be installed.',
  );
}

/** Of a Pod only what says where it is and whether it answers. */
function slimPod({ apiVersion, kind, metadata, status }: Pod): Pod {
  const { podIP, conditions, containerStatuses, startTime } = status ?? {};
  return {
    apiVersion,
    kind,
    metadata,
    status: {
      ...(podIP === undefined ? {} : { podIP }),
      ...(startTime === undefined ? {} : { startTime }),
      conditions: conditions?.filter(({ type }) => type === 'Ready') ?? [],
      containerStatuses: containerStatuses ?? [],
    },
  };
}

/** The key alone. */
function slimSecret(secret: Secret): Secret {
  const key = secret.data?.[apiKeyField];
  return { ...secret, data: key === undefined ? {} : { [apiKeyField]: key } };
}
