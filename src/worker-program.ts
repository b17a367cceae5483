/**
 * A worker put together: it serves requests, and what it can't know it is told by the primary.
 * @module
 */
import type { Worker } from 'node:cluster';
import type { Logger } from 'pino';
import { Metrics } from './admin/metrics.ts';
import { Audit, auditDestination } from './audit.ts';
import type { Config } from './config.ts';
import { configuredAuthenticator, configuredKeys } from './identity/configured.ts';
import type { PolicySet } from './policy/policy.ts';
import { ProxyServer } from './proxy/proxy-server.ts';
import { Channel } from './workers/channel.ts';
import { failureOf } from './workers/failure.ts';
import { LeasedTerminals } from './workers/leased-terminals.ts';
import { OwnRoutes } from './workers/own-routes.ts';
import { workersListen } from './workers/port.ts';
import type { ToPrimary, ToWorker } from './workers/protocol.ts';

export interface WorkerProgramOptions {
  readonly config: Config;
  readonly log: Logger;
  /** This process, as node:cluster has it. */
  readonly worker: Worker;
}

export class WorkerProgram {
  readonly #options: WorkerProgramOptions;
  readonly #metrics = new Metrics();
  /** Of what is asked to know who calls, which requests under way at a shutdown still need. */
  readonly #identifying = new AbortController();
  readonly #drained = Promise.withResolvers<void>();
  readonly #channel: Channel<ToPrimary, ToWorker>;
  readonly #terminals: LeasedTerminals;
  /** Told before anything is served. */
  readonly #policies: { current: PolicySet } = {
    current: { revision: '', policies: new Map(), problems: [] },
  };
  #server: ProxyServer | null = null;

  constructor(options: WorkerProgramOptions) {
    const { worker } = options;
    this.#options = options;
    // Without a primary the process ends, by node:cluster.
    this.#channel = new Channel<ToPrimary, ToWorker>((message) => worker.send(message, () => undefined), {
      policies: (set) => {
        this.#policies.current = set;
      },
      granted: (grant) => this.#terminals.granted(grant),
      gone: (lease) => this.#terminals.gone(lease),
      recall: (lease) => this.#terminals.recall(lease),
      keepUp: () => this.#terminals.tellUse(),
      metrics: () => this.#metrics.snapshot(this.#server?.sockets ?? 0),
      drain: () => this.#drained.resolve(),
    });
    this.#terminals = new LeasedTerminals(this.#channel, (terminal) => this.#server?.gone(terminal));
    worker.on('message', (message) => this.#channel.receive(message));
  }

  /** Serves until the primary has it end. */
  async run(): Promise<void> {
    const { port, primary } = await this.#channel.ask('begin', null);
    const ownRoutes = new OwnRoutes(primary);
    const server = this.#serverOf(ownRoutes);
    this.#server = server;
    try {
      await server.listen({ host: this.#options.config.host, port, ...workersListen });
      this.#channel.tell('listening', null);
      this.#metrics.begin();
      await this.#drained.promise;
    } catch (error) {
      this.#channel.tell('failed', failureOf(error));
    }
    await server.close();
    this.#identifying.abort();
    await ownRoutes.close();
    this.#terminals.close();
  }

  #serverOf(ownRoutes: OwnRoutes): ProxyServer {
    const { config, log } = this.#options;
    const identifying = { tokens: config.tokens, log, signal: this.#identifying.signal };
    const keys = configuredKeys(config.auth, identifying);
    return new ProxyServer({
      terminals: this.#terminals,
      policies: this.#policies,
      authenticator: configuredAuthenticator(config.auth, keys, identifying),
      unknownGroups: config.unknownGroups,
      sessions: {
        made: (id, route, origin) => this.#channel.tell('sessionMade', { id, route, origin }),
        take: (id, origin) => this.#channel.ask('takeSession', { id, origin }),
      },
      audit: new Audit(auditDestination(config), log),
      log,
      answered: (status, ms) => this.#metrics.request(status, ms),
      ownRoutes: (app) => ownRoutes.register(app),
    });
  }
}
