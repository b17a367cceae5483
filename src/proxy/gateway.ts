/**
 * Every request that is meant for a terminal: routed, the terminal made to run, streamed; one log line, whatever happens.
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Audit } from '../audit.ts';
import { TerminalsError, TerminalUnreachableError } from '../errors.ts';
import type { Reached } from '../reconcile/reconciler.ts';
import { authorityOf } from '../terminal/address.ts';
import type { BulkGarbage } from './bulk-garbage.ts';
import { credentialsOf, header } from './credentials.ts';
import { bodyOf, CallerGoneError, forward, NotSentError } from './forward.ts';
import { problemOf, sendProblem } from './problem.ts';
import type { Route, Router } from './route.ts';
import { RouteLoggers } from './route-loggers.ts';
import { SessionAnswer, type SessionRecord } from './sessions.ts';
import { parseTarget, pathOnly, type Target } from './target.ts';
import type { Terminals } from './terminals.ts';
import type { Upstreams } from './upstreams.ts';

export interface GatewayOptions {
  readonly router: Router;
  readonly terminals: Terminals;
  readonly upstreams: Upstreams;
  readonly sessions: SessionRecord;
  readonly garbage: Pick<BulkGarbage, 'passed'>;
  readonly audit: Audit;
  readonly log: Logger;
  /** Told of every request once it is over. */
  readonly answered?: (status: number, ms: number) => void;
}

/** What a request's log line says; filled in as it is found out. */
interface Trace {
  route: Route | null;
  reached: Reached | null;
  error: unknown;
}

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #loggers: RouteLoggers;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#loggers = new RouteLoggers(options.log);
  }

  /** Answers the request; never rejects. */
  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    url: string,
    requestId: string,
  ): Promise<void> {
    try {
      await this.#answer(request, response, url, requestId);
    } catch {
      // Not even its refusal or its line could be written, which must not be anybody else's loss.
      if (!response.writableEnded) response.destroy();
    }
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    url: string,
    requestId: string,
  ): Promise<void> {
    const began = performance.now();
    const trace: Trace = { route: null, reached: null, error: null };
    try {
      await this.#serve(request, response, url, requestId, trace);
    } catch (error) {
      trace.error = error;
      if (trace.route === null)
        this.#options.audit.refused(error, { user: header(request, 'x-user-id'), requestId });
      if (!(error instanceof CallerGoneError)) sendProblem(response, problemOf(error, requestId));
    }
    this.#line(request, response, url, requestId, trace, performance.now() - began);
  }

  async #serve(
    request: IncomingMessage,
    response: ServerResponse,
    url: string,
    requestId: string,
    trace: Trace,
  ): Promise<void> {
    const target = parseTarget(url);
    const context = header(request, 'x-terminal-context-id');
    const route = await this.#options.router.route(credentialsOf(request, null), target.policy, context);
    trace.route = route;
    this.#options.audit.admitted(route, requestId);
    const session = makesSession(request, target) ? this.#session(request, route, target) : null;
    await this.#forward(route, target.path, request, response, trace, session);
  }

  #session(request: IncomingMessage, route: Route, { policy }: Target): SessionAnswer {
    const origin = { userId: header(request, 'x-user-id'), policy };
    return new SessionAnswer((id) => this.#options.sessions.made(id, route, origin));
  }

  /** A terminal that could not be connected to is looked up again, started if it must be, and tried once more. */
  async #forward(
    route: Route,
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
    trace: Trace,
    session: SessionAnswer | null,
  ): Promise<void> {
    const { terminals, upstreams, garbage } = this.#options;
    let body: ReturnType<typeof bodyOf> | undefined;
    for (let attempt = 1; ; attempt += 1) {
      const reached = terminals.running(route.key) ?? (await this.#reach(route, response));
      const { terminal, use } = reached;
      trace.reached = reached;
      body ??= bodyOf(request);
      use.begin();
      try {
        const pool = upstreams.pool(terminal.address);
        const { apiKey } = terminal;
        return await forward({ pool, request, response, path, apiKey, body, onlooker: session, garbage });
      } catch (error) {
        if (error instanceof CallerGoneError) throw error;
        await terminals.throwIfPaused(route.key);
        terminals.suspect(route.key, terminal);
        if (!(error instanceof NotSentError)) throw error;
        if (attempt > 1) throw unreachable(reached, error);
      } finally {
        use.end();
      }
    }
  }

  /** Waits until the terminal runs, or the caller goes away. */
  async #reach(route: Route, response: ServerResponse): Promise<Reached> {
    const gone = abortOnClose(response);
    try {
      return await this.#options.terminals.reach(route.key, gone.signal);
    } finally {
      gone.release();
    }
  }

  #line(
    request: IncomingMessage,
    response: ServerResponse,
    url: string,
    requestId: string,
    { route, reached, error }: Trace,
    ms: number,
  ): void {
    const { log, answered } = this.#options;
    const status = error instanceof CallerGoneError ? 499 : response.statusCode;
    answered?.(status, ms);
    const fields: Record<string, unknown> = {
      requestId,
      method: request.method,
      // The query may hold what a user typed.
      path: pathOnly(url),
      status,
      ms: Math.round(ms * 10) / 10,
    };
    if (error !== null && !(error instanceof CallerGoneError)) fields.err = error;
    const line = route === null ? log : this.#loggers.of(route, reached);
    if (fields.err === undefined) line.info(fields, 'request');
    else if (error instanceof TerminalsError) line.warn(fields, 'request failed');
    else line.error(fields, 'request failed');
  }
}

/** The answer to it names a session, for which a WebSocket follows. */
function makesSession({ method }: IncomingMessage, { path }: Target): boolean {
  return method === 'POST' && pathOnly(path) === '/api/terminals';
}

function unreachable({ terminal }: Reached, cause: unknown): TerminalUnreachableError {
  return new TerminalUnreachableError(
    `The terminal runs, but ${authorityOf(terminal.address)} takes no connection.`,
    'Check that Terminals can reach that address (TERMINALS_NETWORK, TERMINALS_DOCKER_HOST).',
    { cause },
  );
}

/** Aborts when the caller goes away before the answer is through. */
function abortOnClose(response: ServerResponse): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const abort = () => {
    if (!response.writableFinished) controller.abort(new CallerGoneError('the caller closed the connection'));
  };
  response.on('close', abort);
  return { signal: controller.signal, release: () => response.off('close', abort) };
}
