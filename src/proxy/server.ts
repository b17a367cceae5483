/**
 * The HTTP server: our own few routes by Fastify, everything else straight to the gateway, unparsed.
 * @module
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Audit } from '../audit.ts';
import { NotFoundError } from '../errors.ts';
import type { Authenticator } from '../identity/identity.ts';
import { http } from '../node-http.ts';
import type { PolicySet } from '../policy/policy.ts';
import { namedPolicy } from '../policy/selection.ts';
import { credentialsOf, header } from './credentials.ts';
import { type Discovery, type DiscoveryPath, discoveryPaths } from './discovery.ts';
import { hasBody } from './forward.ts';
import type { Gateway } from './gateway.ts';
import { MalformedRequests } from './malformed.ts';
import { problemOf, sendProblem } from './problem.ts';
import { parseTarget, pathOnly } from './target.ts';

export interface ServerOptions {
  /** null: this process serves no terminals. */
  readonly gateway: Gateway | null;
  readonly log: Logger;
  /** Registers the routes that are ours: discovery, health, info and the admin API. */
  readonly ownRoutes: (app: FastifyInstance) => void;
  readonly limits?: Partial<Limits> | undefined;
}

/** How long a caller may be silent where it is its turn. */
export interface Limits {
  /** Until the head of a request is whole. */
  readonly headersMs: number;
  /** Between two pieces of a body; Open WebUI gives a request as long in all. */
  readonly silentUploadMs: number;
}

const defaultLimits: Limits = { headersMs: 60_000, silentUploadMs: 300_000 };

/** Where discovery ends up inside Fastify; a path from outside never gets there unrewritten. */
export const internalDiscovery = '/-/discovery';
/** Answered by Terminals itself, unless a user is named: a terminal has some of these paths, too. */
export const ownPaths: ReadonlySet<string> = new Set(['/health', '/ready', '/info', '/metrics']);
/** Open WebUI asks for a policy's system prompt in the name of this user, which is no person. */
const systemUser = 'system';
const requestIdForm = /^[\w.:-]{1,128}$/;

/** A server that is ready to listen. Closing it drains requests under way. */
export function createServer(options: ServerOptions): FastifyInstance {
  let closing = false;
  const malformed = new MalformedRequests();
  const app = Fastify({
    // One line a request is written by the gateway, with what only it knows.
    logger: false,
    genReqId: requestId,
    serverFactory: (handler) => httpServer({ ...options, own: handler, closing: () => closing, malformed }),
    // The admin API brings its own compiler; Fastify's, which would be loaded all the same, takes a while.
    schemaController: { compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler } },
    rewriteUrl: (request) =>
      destination(request as IncomingMessage) === 'discovery' ? internalDiscovery : (request.url ?? ''),
    forceCloseConnections: 'idle',
    // What came on an open connection is still served; the connection ends with it.
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => malformed.refuse(error, socket),
    frameworkErrors: (error, request, reply) => {
      reply.hijack();
      sendProblem(reply.raw, problemOf(error, request.id));
    },
  });
  app.addHook('preClose', async () => {
    closing = true;
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'string', bodyLimit: 1024 * 1024 },
    app.getDefaultJsonParser('error', 'error'),
  );
  options.ownRoutes(app);
  app.setNotFoundHandler((request) => {
    throw new NotFoundError(
      `There is no ${request.method} ${pathOnly(request.originalUrl)} here.`,
      'See the documentation of the API.',
    );
  });
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error, request.id);
    const line = {
      err: error,
      requestId: request.id,
      method: request.method,
      path: pathOnly(request.originalUrl),
      status: problem.status,
    };
    options.log[problem.status >= 500 ? 'error' : 'warn'](line, 'request failed');
    reply.hijack();
    sendProblem(reply.raw, problem);
  });
  return app;
}

interface HttpServerOptions extends Pick<ServerOptions, 'gateway' | 'limits'> {
  /** Where requests go that are for no terminal. */
  readonly own: RequestListener;
  readonly closing: () => boolean;
  readonly malformed: MalformedRequests;
}

/** Requests for terminals pass Fastify by: it would look up a route, which there is one of, and wrap what is not read here. */
function httpServer({ gateway, limits, own, closing, malformed }: HttpServerOptions): Server {
  const { headersMs, silentUploadMs } = { ...defaultLimits, ...limits };
  const options = {
    // Bodies take as long as they take.
    requestTimeout: 0,
    headersTimeout: headersMs,
    connectionsCheckingInterval: Math.min(headersMs, 30_000),
    keepAliveTimeout: 75_000,
    // So that a caller whose host died is found out.
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
    optimizeEmptyRequests: true,
  };
  return http.createServer(options, (request: IncomingMessage, response: ServerResponse) => {
    malformed.answering(response);
    const body = hasBody(request);
    if (body) endSilentUpload(request, response, silentUploadMs);
    if (gateway === null || destination(request) !== 'terminal') {
      // Fastify would read it for its type, and wait for an end that Node does not tell of where nothing comes.
      if (!body) delete request.headers['content-type'];
      own(request, response);
      return;
    }
    if (closing()) response.setHeader('connection', 'close');
    void gateway.handle(request, response, request.url ?? '', requestId(request));
  });
}

/** Its caller hangs, and for ever its terminal would count as used. What is here and not read yet waits for the terminal. */
function endSilentUpload(request: IncomingMessage, response: ServerResponse, silentMs: number): void {
  // A request that was read has none any more.
  const { socket } = request;
  response.setTimeout(silentMs, () => {
    if (!request.complete && request.readableLength === 0) response.destroy();
  });
  // The timer is the connection's: what comes behind has none, or one of its own. Before Node sets that of a pause.
  response.prependOnceListener('finish', () => socket.setTimeout(0));
}

function noCompiler(): never {
  throw new Error('a route has a schema for which no compiler was set');
}

/** The caller's own id, so that its log and ours can be put side by side, where it is fit for a log. */
function requestId(request: { headers: IncomingMessage['headers'] }): string {
  const sent = request.headers['x-request-id'];
  return typeof sent === 'string' && requestIdForm.test(sent) ? sent : randomUUID();
}

function destination(request: IncomingMessage): 'own' | 'discovery' | 'terminal' {
  const url = request.url ?? '';
  const path = pathOnly(url);
  if (path === '/api/v1' || path.startsWith('/api/v1/')) return 'own';
  const user = header(request, 'x-user-id') ?? '';
  if (user === '' && ownPaths.has(path)) return 'own';
  if ((user === '' || user === systemUser) && isRead(request) && discoveryPath(url) !== null)
    return 'discovery';
  return 'terminal';
}

function isRead({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD';
}

function discoveryPath(url: string): DiscoveryPath | null {
  if (!discoveryPaths.some((path) => url.includes(path))) return null;
  try {
    const path = pathOnly(parseTarget(url).path);
    return discoveryPaths.find((known) => known === path) ?? null;
  } catch {
    // A malformed target is the gateway's to refuse; thrown in here, it would end the process.
    return null;
  }
}

export interface DiscoveryRouteOptions {
  readonly discovery: Discovery;
  readonly authenticator: Authenticator;
  readonly policies: { readonly current: PolicySet };
  readonly audit: Audit;
  readonly log: Logger;
}

/** `/api/config` comes without a key from Open WebUI; it tells no more than which features there are. */
export function discoveryRoute(
  app: FastifyInstance,
  { discovery, authenticator, policies, audit, log }: DiscoveryRouteOptions,
): void {
  async function admit(request: FastifyRequest): Promise<void> {
    try {
      await authenticator.admit(credentialsOf(request.raw, null));
    } catch (error) {
      audit.refused(error, { user: header(request.raw, 'x-user-id'), requestId: request.id });
      throw error;
    }
  }

  app.get(internalDiscovery, async (request, reply) => {
    const { policy: named, path } = parseTarget(request.originalUrl);
    const wanted = discoveryPath(path) ?? '/openapi.json';
    if (wanted !== '/api/config') await admit(request);
    const policy = namedPolicy(policies.current, named);
    const answer = await discovery.answer(policy, wanted);
    log.info(
      {
        requestId: request.id,
        method: request.method,
        path: wanted,
        policy: policy.id,
        status: answer.status,
      },
      'request',
    );
    return reply.code(answer.status).header('content-type', answer.contentType).send(answer.body);
  });
}
