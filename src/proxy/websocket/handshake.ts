/**
 * The opening handshake on both sides (RFC 6455 section 4): ours to the client, and ours as a client to the terminal.
 * No extension is ever agreed on, so that frames can be passed on as they are; subprotocols are not supported.
 * @module
 */
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { http } from '../../node-http.ts';
import type { Address } from '../../terminal/terminal.ts';
import { part } from '../part.ts';

/** 16 bytes in base64. */
const keyForm = /^[A-Za-z0-9+/]{22}==$/;
const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

function acceptOf(key: string): string {
  return createHash('sha1')
    .update(key + guid)
    .digest('base64');
}

/** Answers the client's handshake; false where it was none, which is answered in plain HTTP. */
export function acceptClient(request: IncomingMessage, socket: Duplex): boolean {
  const { headers, method } = request;
  const key = headers['sec-websocket-key'];
  const refused =
    method !== 'GET' || headers.upgrade?.toLowerCase() !== 'websocket'
      ? refusal(400, 'Bad Request', 'This is no WebSocket handshake.')
      : headers['sec-websocket-version'] !== '13'
        ? refusal(
            426,
            'Upgrade Required',
            'WebSocket version 13 is spoken here.',
            'Sec-WebSocket-Version: 13\r\n',
          )
        : key === undefined || !keyForm.test(key)
          ? refusal(400, 'Bad Request', 'Sec-WebSocket-Key is missing or malformed.')
          : null;
  if (refused !== null) {
    part(socket, refused);
    return false;
  }
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(key ?? '')}\r\n\r\n`,
  );
  return true;
}

function refusal(status: number, reason: string, text: string, headers = ''): string {
  const body = JSON.stringify({
    type: 'urn:terminals:problem:bad-request',
    title: 'bad request',
    status,
    detail: text,
  });
  return `HTTP/1.1 ${status} ${reason}\r\n${headers}Connection: close\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** The terminal did not take the WebSocket; `status` is its answer, null where there was none. */
export class HandshakeError extends Error {
  override readonly name = 'HandshakeError';
  readonly status: number | null;
  constructor(message: string, status: number | null, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

export interface TerminalSocket {
  readonly socket: Duplex;
  /** What came in right behind the handshake. */
  readonly head: Buffer;
}

/**
 * Opens a WebSocket to a terminal.
 * @throws HandshakeError, or the signal's reason
 */
export function connectTerminal(
  address: Address,
  path: string,
  headers: Readonly<Record<string, string>>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<TerminalSocket> {
  const key = randomBytes(16).toString('base64');
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: address.host,
      port: address.port,
      path,
      agent: false,
      signal,
      headers: {
        ...headers,
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': key,
      },
    });
    const timer = setTimeout(
      () => request.destroy(new HandshakeError('the terminal does not answer', null)),
      timeoutMs,
    );
    request.on('upgrade', (response, socket, head) => {
      clearTimeout(timer);
      if (response.headers['sec-websocket-accept'] === acceptOf(key)) resolve({ socket, head });
      else {
        socket.destroy();
        reject(new HandshakeError('the terminal does not speak WebSocket', null));
      }
    });
    request.on('response', (response) => {
      clearTimeout(timer);
      response.destroy();
      reject(new HandshakeError(`the terminal answered ${response.statusCode}`, response.statusCode ?? null));
    });
    request.on('error', (error) => {
      clearTimeout(timer);
      if (signal.aborted) reject(signal.reason);
      else
        reject(
          error instanceof HandshakeError ? error : new HandshakeError(error.message, null, { cause: error }),
        );
    });
    request.end();
  });
}
