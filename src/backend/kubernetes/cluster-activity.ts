/**
 * The last use of terminals, in the status of their resources: there the operator and other orchestrators see it.
 * @module
 */
import type { Logger } from 'pino';
import type { KubeClient } from '../../kubernetes/client.ts';
import { KubeError } from '../../kubernetes/kube-error.ts';
import { resetRequest } from '../../operator/reset-request.ts';
import { stopAnnotation, type TerminalResource, terminals } from '../../operator/terminal-resource.ts';
import type { TerminalName } from '../../terminal/terminal.ts';
import type { ActivityRecord, SavedActivity } from '../backend.ts';
import { manager } from './declare.ts';
import { lastActivityOf } from './observe.ts';
import type { TerminalCache } from './terminal-cache.ts';

/** A terminal in use is written at most so often, by all orchestrators together. */
const writeMs = 60_000;
/** More often where its idle timeout is so short that it would pass in between. */
const writesInTimeout = 3;
const afterFailureMs = 5_000;
const parallel = 16;

export interface ClusterActivityOptions {
  readonly client: Pick<KubeClient, 'apply'>;
  readonly cache: TerminalCache;
  readonly log: Logger;
}

interface Due {
  readonly terminal: TerminalResource;
  readonly at: number;
}

export class ClusterActivity implements ActivityRecord {
  readonly intervalMs = 1_000;
  readonly #options: ClusterActivityOptions;
  /** When each terminal may be written again, by its name. */
  readonly #next = new Map<string, number>();
  #writing: Promise<void> | null = null;

  constructor(options: ClusterActivityOptions) {
    this.#options = options;
  }

  /** The resources themselves say it, to whoever lists them. */
  async load(): Promise<SavedActivity> {
    return { lastActivityAt: () => null };
  }

  async save(times: ReadonlyMap<TerminalName, number>, now: number, last = false): Promise<void> {
    if (last) await this.#writing;
    if (this.#writing) return;
    const due = [...times].flatMap(([name, at]) => this.#due(name, at, now, last) ?? []);
    for (const name of this.#next.keys()) if (!times.has(name as TerminalName)) this.#next.delete(name);
    if (due.length === 0) return;
    this.#writing = this.#writeAll(due, now).finally(() => {
      this.#writing = null;
    });
    await this.#writing;
  }

  /**
   * Says that it is used now, so that the operator starts it if it is stopped.
   * @throws KubeError, and what undici throws
   */
  async wake(terminal: TerminalResource, signal: AbortSignal): Promise<void> {
    // After whatever stopped it, also where another clock wrote that.
    const { metadata, status } = terminal;
    const stops = [status?.idleSince, metadata.annotations?.[stopAnnotation]].map((time) =>
      time === undefined ? 0 : Date.parse(time) + 1,
    );
    await this.#write(terminal, Math.max(Date.now(), ...stops), signal);
    this.#next.set(metadata.name, Date.now() + writeIntervalMs(terminal));
  }

  /**
   * Whoever waits for its start uses it: a start may take longer than a short idle timeout.
   * @returns ends it
   */
  keepAwake(name: string, idleTimeoutMs: number, signal: AbortSignal): () => void {
    const again = async () => {
      const terminal = this.#options.cache.get(name)?.terminal;
      if (terminal === undefined) return;
      await this.wake(terminal, signal).catch((error: unknown) =>
        this.#options.log.debug({ err: error, terminal: name }, 'its use was not written'),
      );
    };
    const timer = setInterval(() => void again(), intervalMs(idleTimeoutMs)).unref();
    return () => clearInterval(timer);
  }

  #due(name: string, at: number, now: number, last: boolean): Due | null {
    const terminal = this.#options.cache.get(name)?.terminal;
    // One that is stopped is not woken by a use from before that.
    if (terminal === undefined || terminal.status?.phase === 'Idle' || terminal.metadata.deletionTimestamp)
      return null;
    if (resetRequest(terminal) !== null) return null;
    const known = lastActivityOf(terminal);
    if (at <= known || Date.parse(terminal.metadata.annotations?.[stopAnnotation] ?? '') >= known)
      return null;
    const next = Math.max(this.#next.get(name) ?? 0, known + writeIntervalMs(terminal));
    return last || now >= next ? { terminal, at } : null;
  }

  async #writeAll(due: readonly Due[], now: number): Promise<void> {
    const waiting = [...due];
    const writeNext = async (): Promise<void> => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        const { terminal, at } = next;
        const { name } = terminal.metadata;
        try {
          await this.#write(terminal, at);
          this.#next.set(name, now + writeIntervalMs(terminal));
        } catch (error) {
          this.#next.set(name, now + afterFailureMs);
          const gone = error instanceof KubeError && (error.status === 404 || error.status === 409);
          this.#options.log[gone ? 'debug' : 'warn'](
            { err: error, terminal: name },
            'its use was not written',
          );
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(parallel, due.length) }, writeNext));
  }

  async #write({ metadata }: TerminalResource, at: number, signal?: AbortSignal): Promise<void> {
    const { name, namespace = '', uid = '' } = metadata;
    const { apiVersion, kind } = terminals;
    const status = { lastActivityAt: new Date(at).toISOString() };
    const object = { apiVersion, kind, metadata: { name, namespace, uid }, status };
    const options = { manager, force: true, subresource: 'status', signal };
    this.#options.cache.terminals.absorb(await this.#options.client.apply(terminals, object, options));
  }
}

function writeIntervalMs({ spec }: TerminalResource): number {
  return intervalMs(spec.idleTimeoutMinutes * 60_000);
}

function intervalMs(idleTimeoutMs: number): number {
  return idleTimeoutMs === 0 ? writeMs : Math.min(writeMs, idleTimeoutMs / writesInTimeout);
}
