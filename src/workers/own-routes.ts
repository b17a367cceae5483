/**
 * What a worker does not answer itself goes to the primary as it came: discovery, health, metrics, the admin API.
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Dispatcher, Pool } from 'undici';
import { ShuttingDownError } from '../errors.ts';
import { hasBody } from '../proxy/forward.ts';
import { responseHeaders } from '../proxy/headers.ts';
import { problemOf, sendProblem } from '../proxy/problem.ts';
import { internalDiscovery, ownPaths } from '../proxy/server.ts';

/** Made anew for the next connection, or decided here. */
const notPassedOn = new Set(['content-length', 'expect', 'x-request-id']);

export class OwnRoutes {
  readonly #primary: Pool;

  /** @param socketPath where the primary listens; with it ends this process, so that nothing waits for it in vain */
  constructor(socketPath: string) {
    this.#primary = new Pool('http://primary', { socketPath, headersTimeout: 0, bodyTimeout: 0 });
  }

  /** For a worker's server. */
  register(app: FastifyInstance): void {
    for (const path of [...ownPaths, '/api/v1', '/api/v1/*', internalDiscovery]) {
      app.all(path, {
        onRequest: (request: FastifyRequest, reply: FastifyReply) => {
          reply.hijack();
          void this.#passOn(request.raw, reply.raw, request.originalUrl, request.id);
        },
        handler: () => undefined,
      });
    }
  }

  close(): Promise<void> {
    return this.#primary.destroy();
  }

  /** Answers the request; never rejects. */
  async #passOn(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    requestId: string,
  ): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      const answer = await this.#primary.request({
        path,
        method: (request.method ?? 'GET') as Dispatcher.HttpMethod,
        headers: headersOf(request, requestId),
        body: hasBody(request) ? request : null,
        signal: gone.signal,
        responseHeaders: 'raw',
      });
      const raw: unknown = answer.headers;
      const headers = Array.isArray(raw) ? responseHeaders(raw) : [];
      // The rest of an upload that was answered early can't be told from a next request.
      if (!request.complete) headers.push('connection', 'close');
      response.writeHead(answer.statusCode, headers);
      await pipeline(answer.body, response);
    } catch {
      // Without its primary a worker is about to end.
      if (!gone.signal.aborted) sendProblem(response, problemOf(new ShuttingDownError(), requestId));
    }
  }
}

/** As they came, without those of the connection, and with the id that the answer will have. */
function headersOf(request: IncomingMessage, requestId: string): string[] {
  const headers = ['x-request-id', requestId];
  const sent = responseHeaders(request.rawHeaders);
  for (let index = 0; index < sent.length; index += 2) {
    const name = sent[index] ?? '';
    if (!notPassedOn.has(name.toLowerCase())) headers.push(name, sent[index + 1] ?? '');
  }
  const length = request.headers['content-length'];
  if (length !== undefined && request.headers['transfer-encoding'] === undefined)
    headers.push('content-length', length);
  return headers;
}
