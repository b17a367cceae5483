/**
 * The front of a program with workers: they serve requests, and here they are answered what they can't know themselves.
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { MetricsSnapshot } from '../admin/metrics.ts';
import type { PolicySet } from '../policy/policy.ts';
import type { ListenOptions } from '../proxy/proxy-server.ts';
import { createServer } from '../proxy/server.ts';
import { Sessions } from '../proxy/sessions.ts';
import type { Terminals } from '../proxy/terminals.ts';
import type { RunningTerminal } from '../terminal/terminal.ts';
import type { Handlers } from './channel.ts';
import { errorOf } from './failure.ts';
import type { Leases } from './leases.ts';
import { portAlone } from './port.ts';
import type { MadeSession, Place, ToPrimary } from './protocol.ts';
import type { WorkerProcess } from './worker-process.ts';
import { Workers } from './workers.ts';

export interface PrimaryOptions {
  readonly count: number;
  /** Variables of the workers beside those of this process. */
  readonly environment: Readonly<Record<string, string>>;
  readonly terminals: Terminals;
  readonly leases: Leases;
  readonly policies: { readonly current: PolicySet; onChange(listener: (next: PolicySet) => void): void };
  readonly log: Logger;
  /** Registers the routes that do not lead to a terminal. */
  readonly ownRoutes: (app: FastifyInstance) => void;
  /** As `WorkersOptions`. */
  readonly hungMs?: number;
}

const adminPath = /^\/api\/v1(?:[/?]|$)/;

export class Primary {
  readonly #options: PrimaryOptions;
  readonly #workers: Workers;
  readonly #sessions = new Sessions();
  /** Answers what workers pass on. */
  readonly #app: FastifyInstance;
  readonly #place = Promise.withResolvers<Place>();
  #folder: string | null = null;

  constructor(options: PrimaryOptions) {
    const { count, environment, leases, policies, log, ownRoutes, hungMs } = options;
    this.#options = options;
    this.#workers = new Workers({
      count,
      environment,
      answers: (worker) => this.#answers(worker),
      left: (worker) => leases.left(worker),
      log,
      hungMs,
    });
    policies.onChange((next) => this.#workers.policies(next));
    this.#app = createServer({
      gateway: null,
      log,
      ownRoutes: (app) => {
        this.#keepWorkersUp(app);
        ownRoutes(app);
      },
    });
  }

  /** WebSockets are the workers'. */
  readonly sockets = 0;

  /** What the workers have counted. */
  counted(): Promise<readonly MetricsSnapshot[]> {
    return this.#workers.counted();
  }

  /** A terminal runs no more where it did. */
  gone(terminal: RunningTerminal): void {
    this.#options.leases.gone(terminal);
  }

  /** @returns the port that the workers listen at, when all do */
  async listen(address: Pick<ListenOptions, 'host' | 'port'>): Promise<number> {
    const port = await portAlone(address);
    // Only this user may open it; every call on it is authenticated as if it had come from outside.
    this.#folder = await mkdtemp(path.join(os.tmpdir(), 'terminals-'));
    const primary = path.join(this.#folder, 'primary');
    await this.#app.listen({ path: primary });
    this.#place.resolve({ port, primary });
    await this.#workers.start();
    return port;
  }

  /** Takes no more requests, lets those under way end, tells WebSockets to come back. */
  async close(): Promise<void> {
    await this.#workers.drain();
    await this.#app.close();
    if (this.#folder !== null) await rm(this.#folder, { recursive: true, force: true });
  }

  /** So that the admin API shows what was done until then, and what it changes counts everywhere when it answers. */
  #keepWorkersUp(app: FastifyInstance): void {
    app.addHook('onRequest', async (request) => {
      if (adminPath.test(request.url)) await this.#workers.keepUp();
    });
    app.addHook('onSend', async (request) => {
      if (adminPath.test(request.url) && request.method !== 'GET') await this.#workers.keepUp();
    });
  }

  #answers(worker: WorkerProcess): Handlers<ToPrimary> {
    const { terminals, leases, policies } = this.#options;
    return {
      begin: () => {
        worker.policies(policies.current);
        return this.#place.promise;
      },
      listening: () => this.#workers.listening(worker),
      failed: (failure) => this.#workers.failed(worker, errorOf(failure)),
      reach: (key, signal) => leases.reach(worker, () => terminals.reach(key, signal), key),
      throwIfPaused: (key) => terminals.throwIfPaused(key),
      suspect: (lease) => {
        const seen = leases.suspect(worker, lease);
        if (seen !== null) terminals.suspect(seen.key, seen.terminal);
      },
      used: (uses) => leases.used(worker, uses),
      sessionMade: ({ id, route, origin }) => this.#sessions.made(id, route, origin),
      takeSession: (session) => this.#takeSession(session),
    };
  }

  /** The worker that saw it made said so before its caller could know of it, but another's question may be read first. */
  async #takeSession({ id, origin }: Omit<MadeSession, 'route'>) {
    const route = this.#sessions.take(id, origin);
    if (route !== null) return route;
    await nextTurn();
    return this.#sessions.take(id, origin);
  }
}
