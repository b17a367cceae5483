/**
 * Every request that is meant for a terminal: routed, the terminal made to run, streamed; one log line, whatever happens.
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { TerminalsError, TerminalUnreachableError } from '../errors.ts';
import type { Credentials } from '../identity/identity.ts';
import type { Reached, Reconciler } from '../reconcile/reconciler.ts';
import { CallerGoneError, forward, NotSentError } from './forward.ts';
import { problemOf, sendProblem } from './problem.ts';
import type { Route, Router } from './route.ts';
import { parseTarget, pathOnly } from './target.ts';
import type { Upstreams } from './upstreams.ts';

export interface GatewayOptions {
  readonly router: Router;
  readonly reconciler: Pick<Reconciler, 'reach' | 'suspect'>;
  readonly upstreams: Upstreams;
  readonly log: Logger;
}

/** What a request's log line says; filled in as it is found out. */
interface Trace {
  route: Route | null;
  terminal: string | null;
  error: unknown;
}

/** A header's one value; Node joins repeated ones, and the first of a list stands for it. */
export function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

export function credentialsOf(request: IncomingMessage, token: string | null): Credentials {
  return { authorization: request.headers.authorization, token, userId: header(request, 'x-user-id') };
}

export class Gateway {
  readonly #options: GatewayOptions;

  constructor(options: GatewayOptions) {
    this.#options = options;
  }

  /** Answers the request; never rejects. */
  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    url: string,
    requestId: string,
  ): Promise<void> {
    const began = performance.now();
    const trace: Trace = { route: null, terminal: null, error: null };
    try {
      await this.#serve(request, response, url, trace);
    } catch (error) {
      trace.error = error;
      if (!(error instanceof CallerGoneError)) sendProblem(response, problemOf(error, requestId));
    }
    this.#line(request, response, url, requestId, trace, performance.now() - began);
  }

  async #serve(request: IncomingMessage, response: ServerResponse, url: string, trace: Trace): Promise<void> {
    const target = parseTarget(url);
    const context = header(request, 'x-terminal-context-id');
    const route = await this.#options.router.route(credentialsOf(request, null), target.policy, context);
    trace.route = route;
    const gone = abortOnClose(response);
    try {
      await this.#forward(route, target.path, request, response, gone.signal, trace);
    } finally {
      gone.release();
    }
  }

  /** A terminal that could not be connected to is looked up again, started if it must be, and tried once more. */
  async #forward(
    route: Route,
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
    trace: Trace,
  ): Promise<void> {
    const { reconciler } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      const reached = await reconciler.reach(route.key, signal);
      trace.terminal = reached.terminal.name;
      try {
        return await this.#exchange(reached, path, request, response);
      } catch (error) {
        if (error instanceof CallerGoneError) throw error;
        reconciler.suspect(route.key, reached.terminal);
        if (!(error instanceof NotSentError)) throw error;
        if (attempt > 1) throw unreachable(reached, error);
      }
    }
  }

  async #exchange(
    { terminal, use }: Reached,
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    use.begin();
    try {
      await forward(this.#options.upstreams.pool(terminal.address), request, response, path, terminal.apiKey);
    } finally {
      use.end();
    }
  }

  #line(
    request: IncomingMessage,
    response: ServerResponse,
    url: string,
    requestId: string,
    { route, terminal, error }: Trace,
    ms: number,
  ): void {
    const { log } = this.#options;
    const fields = {
      requestId,
      method: request.method,
      // The query may hold what a user typed.
      path: pathOnly(url),
      status: error instanceof CallerGoneError ? 499 : response.statusCode,
      ms: Math.round(ms * 10) / 10,
      user: route?.identity.user,
      policy: route?.key.policy,
      context: route?.key.context ?? undefined,
      terminal: terminal ?? undefined,
      admittedBy: route?.identity.admittedBy,
    };
    if (error === null || error instanceof CallerGoneError) log.info(fields, 'request');
    else if (error instanceof TerminalsError) log.warn({ ...fields, err: error }, 'request failed');
    else log.error({ ...fields, err: error }, 'request failed');
  }
}

function unreachable({ terminal }: Reached, cause: unknown): TerminalUnreachableError {
  const { host, port } = terminal.address;
  return new TerminalUnreachableError(
    `The terminal runs, but ${host}:${port} takes no connection.`,
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
