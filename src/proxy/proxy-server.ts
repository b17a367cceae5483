/**
 * All that serves requests in one process: who is it, which terminal, there and back.
 * @module
 */
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Audit } from '../audit.ts';
import type { Authenticator } from '../identity/identity.ts';
import type { PolicySet } from '../policy/policy.ts';
import type { UnknownGroups } from '../policy/selection.ts';
import type { RunningTerminal } from '../terminal/terminal.ts';
import { BulkGarbage } from './bulk-garbage.ts';
import { Gateway } from './gateway.ts';
import { Router } from './route.ts';
import { createServer } from './server.ts';
import type { SessionRecord } from './sessions.ts';
import { terminalSockets } from './terminal-sockets.ts';
import type { Terminals } from './terminals.ts';
import { Upstreams } from './upstreams.ts';
import type { WebSocketProxy } from './websocket/websocket-proxy.ts';

export interface ProxyServerOptions {
  readonly terminals: Terminals;
  readonly policies: { readonly current: PolicySet };
  readonly authenticator: Authenticator;
  readonly unknownGroups: UnknownGroups;
  readonly sessions: SessionRecord;
  readonly audit: Audit;
  readonly log: Logger;
  /** Told of every request for a terminal once it is over. */
  readonly answered: (status: number, ms: number) => void;
  /** Registers the routes that do not lead to a terminal. */
  readonly ownRoutes: (app: FastifyInstance) => void;
}

export interface ListenOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** As for `net.Server.listen`. */
  readonly exclusive?: boolean;
  readonly reusePort?: boolean;
}

/** Requests under way at a shutdown get this long; Docker and Kubernetes kill after 10 and 30 s. */
export const drainMs = 8_000;

export class ProxyServer {
  readonly #upstreams = new Upstreams();
  readonly #sockets: WebSocketProxy;
  readonly #app: FastifyInstance;

  constructor(options: ProxyServerOptions) {
    const { terminals, authenticator, sessions, audit, log, answered, ownRoutes } = options;
    const upstreams = this.#upstreams;
    const router = new Router(options);
    const garbage = new BulkGarbage();
    const shared = { router, terminals, sessions, garbage, audit, log };
    this.#sockets = terminalSockets({ ...shared, authenticator });
    const gateway = new Gateway({ ...shared, upstreams, answered });
    this.#app = createServer({ gateway, log, ownRoutes });
  }

  /** How many WebSockets are open. */
  get sockets(): number {
    return this.#sockets.open;
  }

  /** What other processes have counted: there are none. */
  async counted(): Promise<readonly []> {
    return [];
  }

  /** A terminal runs no more where it did. */
  gone({ address }: Pick<RunningTerminal, 'address'>): void {
    this.#upstreams.release(address);
  }

  /** @returns the port it listens at */
  async listen({ host, port, ...how }: ListenOptions): Promise<number> {
    await this.#app.ready();
    const { server } = this.#app;
    server.on('upgrade', (request, socket, head) => this.#sockets.handleUpgrade(request, socket, head));
    await this.#app.listen({ host, port, ...how });
    return portOf(server.address());
  }

  /** Takes no more requests, lets those under way end, tells WebSockets to come back. */
  async close(): Promise<void> {
    const drained = this.#app.close();
    const late = setTimeout(() => this.#app.server.closeAllConnections(), drainMs).unref();
    await this.#sockets.closeAll(1012, 'Terminals restarts; connect again', 1_000);
    await drained;
    clearTimeout(late);
    await this.#upstreams.close();
  }
}

/** The port that a server listens at; 0: it has none. */
export function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address !== null ? address.port : 0;
}
