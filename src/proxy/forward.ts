/**
 * One HTTP request to one terminal: streamed both ways, never buffered, never sent twice.
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { TerminalUnreachableError, UpstreamTimeoutError } from '../errors.ts';
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

/**
 * Sends the request on and streams the answer back; resolves when the answer is through.
 * @param seen told of every chunk of the answer's body as it goes by
 * @throws NotSentError, CallerGoneError, TerminalUnreachableError, UpstreamTimeoutError
 */
export function forward(
  pool: Dispatcher,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  apiKey: string,
  seen?: (chunk: Buffer) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const exchange = new Exchange(request, response, resolve, reject, seen);
    try {
      pool.dispatch(
        {
          path,
          method: (request.method ?? 'GET') as Dispatcher.HttpMethod,
          headers: requestHeaders(request, apiKey),
          body: hasBody(request) ? request : null,
        },
        exchange,
      );
    } catch (error) {
      exchange.failed(error);
    }
  });
}

/** RFC 9112 6.3: a request has a body exactly when one of these headers says so. */
function hasBody({ headers }: IncomingMessage): boolean {
  if (headers['transfer-encoding'] !== undefined) return true;
  return headers['content-length'] !== undefined && headers['content-length'] !== '0';
}

/** What undici tells about one request, turned into the caller's response. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #resolve: () => void;
  readonly #reject: (error: Error) => void;
  readonly #seen: ((chunk: Buffer) => void) | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #settled = false;
  #bodyBegan = false;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    resolve: () => void,
    reject: (error: Error) => void,
    seen?: (chunk: Buffer) => void,
  ) {
    this.#request = request;
    this.#response = response;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#seen = seen;
    response.on('close', this.#onClose);
    response.on('drain', this.#onDrain);
  }

  readonly #onClose = (): void => {
    if (this.#response.writableFinished) return;
    this.#settle(new CallerGoneError('the caller closed the connection'));
    this.#controller?.abort(new CallerGoneError('the caller closed the connection'));
  };

  readonly #onDrain = (): void => this.#controller?.resume();

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#settled) controller.abort(new CallerGoneError('the caller closed the connection'));
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    const raw = controller.rawHeaders;
    const headers = Array.isArray(raw) ? responseHeaders(raw) : [];
    // The rest of an upload that was answered early can't be told from a next request.
    if (!this.#request.complete) headers.push('connection', 'close');
    if (status < 200) return;
    this.#response.writeHead(status, headers);
    // Node keeps headers back for the body to go along; where none comes at once, e.g. of an event stream, they go alone.
    setImmediate(() => {
      if (!this.#bodyBegan && !this.#settled) this.#response.flushHeaders();
    });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bodyBegan = true;
    this.#seen?.(chunk);
    if (this.#response.write(chunk) === false) controller.pause();
  }

  onResponseEnd(): void {
    this.#response.end();
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
    this.#response.off('close', this.#onClose);
    this.#response.off('drain', this.#onDrain);
    if (error === null) this.#resolve();
    else this.#reject(error);
  }
}

function code(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
