/**
 * What the HTTP parser does not take: it has no request to answer to, only a connection.
 * @module
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { part } from './part.ts';

/** Status, reason phrase and detail. */
type Refusal = readonly [status: number, reason: string, detail: string];

const invalid: Refusal = [400, 'Bad Request', 'The request is not valid HTTP.'];
const refusals: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'The headers of the request are too large.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'No whole head of a request came in time.'],
};

/** Refuses them, where nobody waits for another answer on the same connection. */
export class MalformedRequests {
  /** The last answer of each connection. */
  readonly #answers = new WeakMap<Socket, ServerResponse>();

  /** A request came in order, and this will answer it. */
  answering(response: ServerResponse): void {
    this.#answers.set(response.req.socket, response);
  }

  /** For the `clientError` event of an HTTP server. */
  refuse(error: Error & { code?: string }, socket: Socket): void {
    if (socket.destroyed || error.code === 'ECONNRESET' || !socket.writable || this.#underWay(socket)) {
      socket.destroy();
      return;
    }
    const [status, reason, detail] = refusals[error.code ?? ''] ?? invalid;
    const body = JSON.stringify({
      type: 'urn:terminals:problem:bad-request',
      title: 'bad request',
      status,
      detail,
    });
    part(
      socket,
      `HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nContent-Type: application/problem+json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
  }

  /** Whether a refusal would be taken for the answer, or for a part of it, to a request that came in order. */
  #underWay(socket: Socket): boolean {
    const last = this.#answers.get(socket);
    if (last === undefined || last.writableFinished) return false;
    // Without a socket it waits behind others.
    return last.socket === null || last.headersSent || last.req.complete;
  }
}
