/**
 * One HTTP request to one terminal: streamed both ways, never buffered, never sent twice.
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { TerminalUnreachableError, UpstreamTimeoutError } from '../errors.ts';
import type { BulkGarbage } from './bulk-garbage.ts';
import { requestHeaders, responseHeaders } from './headers.ts';

/** The terminal could not be connected to, so that the request never left this process and may be tried again. */
export class NotSentError extends Error {
  override readonly name = 'NotSentError';
}

/** The caller went away; nobody is left to be told. */
export class CallerGoneError extends Error {
  override readonly name = 'CallerGoneError';
}

const responseCutHint = 'The request may have had effects; look before you send it again.';

/** Whatever has to see an answer's body as it goes by. */
export interface Onlooker {
  add(chunk: Buffer): void;
}

/** One request, and where it goes. */
export interface Forwarding {
  readonly pool: Pick<Dispatcher, 'dispatch'>;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Path and query for the terminal. */
  readonly path: string;
  readonly apiKey: string;
  /** As `bodyOf` gives it; the same one where the request is tried again. */
  readonly body: Buffer | IncomingMessage | null;
  /** null: nobody looks on. */
  readonly onlooker: Onlooker | null;
  readonly garbage: Pick<BulkGarbage, 'passed'>;
}

/**
 * Sends the request on and streams the answer back; resolves when the answer is through.
 * @throws NotSentError, CallerGoneError, TerminalUnreachableError, UpstreamTimeoutError
 */
export function forward(forwarding: Forwarding): Promise<void> {
  return new Promise((resolve, reject) => {
    const exchange = new Exchange(forwarding, resolve, reject);
    const { pool, request, path, apiKey, body } = forwarding;
    try {
      const method = (request.method ?? 'GET') as Dispatcher.HttpMethod;
      pool.dispatch({ path, method, headers: requestHeaders(request, apiKey), body }, exchange);
    } catch (error) {
      exchange.failed(error);
    }
  });
}

/** The body of a request: in one piece where all of it is here already, which a stream would make twice as dear. */
export function bodyOf(request: IncomingMessage): Buffer | IncomingMessage | null {
  if (!hasBody(request)) return null;
  const length = Number(request.headers['content-length']);
  const whole = request.complete && request.readableLength === length;
  // With the length, since without one it gives the first of the pieces that the body came in.
  const body: unknown = whole ? request.read(length) : null;
  return Buffer.isBuffer(body) ? body : request;
}

/** RFC 9112 6.3: a request has a body exactly when one of these headers says so. */
export function hasBody({ headers }: IncomingMessage): boolean {
  if (headers['transfer-encoding'] !== undefined) return true;
  return headers['content-length'] !== undefined && headers['content-length'] !== '0';
}

/** What undici tells about one request, turned into the caller's response. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #resolve: () => void;
  readonly #reject: (error: Error) => void;
  readonly #onlooker: Onlooker | null;
  readonly #garbage: Forwarding['garbage'];
  #controller: Dispatcher.DispatchController | undefined;
  #settled = false;
  #bodyBegan = false;
  /** Bytes of the body that are still to come; NaN where the terminal did not say. */
  #left = Number.NaN;

  constructor(
    { request, response, onlooker, garbage }: Forwarding,
    resolve: () => void,
    reject: (error: Error) => void,
  ) {
    this.#request = request;
    this.#response = response;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#onlooker = onlooker;
    this.#garbage = garbage;
    response.on('close', () => this.#closed());
  }

  #closed(): void {
    if (this.#settled || this.#response.writableFinished) return;
    this.#settle(new CallerGoneError('the caller closed the connection'));
    this.#controller?.abort(new CallerGoneError('the caller closed the connection'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#settled) controller.abort(new CallerGoneError('the caller closed the connection'));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    parsed: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return;
    const raw = controller.rawHeaders;
    const headers = Array.isArray(raw) ? responseHeaders(raw) : [];
    // The rest of an upload that was answered early can't be told from a next request.
    if (!this.#request.complete) headers.push('connection', 'close');
    this.#left = Number(parsed['content-length']);
    this.#response.writeHead(status, headers);
    // What has come together is told of in this turn, so that a small answer goes out in one piece.
    process.nextTick(flushHead, this);
  }

  /** Node keeps headers back for the body to go along; where none comes at once, e.g. of an event stream, they go alone. */
  flushHead(): void {
    if (!this.#bodyBegan && !this.#settled) this.#response.flushHeaders();
  }

  onBodySent(chunk: Buffer): void {
    this.#garbage.passed(chunk.length);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bodyBegan = true;
    this.#onlooker?.add(chunk);
    this.#garbage.passed(chunk.length);
    this.#left -= chunk.length;
    // The last piece and the end of the answer in one write.
    if (this.#left === 0) this.#response.end(chunk);
    else if (!this.#response.write(chunk)) {
      controller.pause();
      this.#response.once('drain', () => controller.resume());
    }
  }

  onResponseEnd(): void {
    if (!this.#response.writableEnded) this.#response.end();
    this.#settle(null);
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.failed(error);
  }

  failed(error: unknown): void {
    // Without a controller no byte was written to any connection.
    if (this.#controller === undefined) {
      this.#settle(new NotSentError('no connection to the terminal', { cause: error }));
    } else if (code(error) === 'UND_ERR_HEADERS_TIMEOUT') {
      this.#settle(
        new UpstreamTimeoutError(
          'The terminal took the request and did not answer in 300 seconds.',
          responseCutHint,
          {
            cause: error,
          },
        ),
      );
    } else {
      this.#settle(
        new TerminalUnreachableError(
          'The connection to the terminal broke before its answer was through.',
          responseCutHint,
          {
            cause: error,
          },
        ),
      );
    }
  }

  #settle(error: Error | null): void {
    if (this.#settled) return;
    this.#settled = true;
    if (error === null) this.#resolve();
    else this.#reject(error);
  }
}

function flushHead(exchange: Exchange): void {
  exchange.flushHead();
}

function code(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
