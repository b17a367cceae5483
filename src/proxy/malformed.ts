/**
 * What the HTTP parser does not take: it has no request to answer to, only a connection.
 * @module
 */
import type { Socket } from 'node:net';
import { part } from './part.ts';

/** Status, reason phrase and detail. */
type Refusal = readonly [status: number, reason: string, detail: string];

const invalid: Refusal = [400, 'Bad Request', 'The request is not valid HTTP.'];
const refusals: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'The headers of the request are too large.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'No whole head of a request came in time.'],
};

/** For the `clientError` event of an HTTP server. */
export function refuseMalformed(error: Error & { code?: string }, socket: Socket): void {
  if (socket.destroyed || error.code === 'ECONNRESET' || !socket.writable) {
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
